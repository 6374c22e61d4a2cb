/* The state of the machine around a measurement. */
#ifndef HWA_CONDITIONS_H
#define HWA_CONDITIONS_H

#include "cpus.h"
#include "text.h"
#include "throttle.h"

#include <stdbool.h>
#include <stdint.h>

/* What was seen of the first measured cpu. Frequencies in kHz; -1: unknown. */
typedef struct {
    int32_t cpu;
    bool loose; /* no thread need be on that cpu: its frequency tells nothing */
    int64_t khz_before, khz_min, khz_after;
    uint64_t looked_ns;
    hwa_throttle before, after;
} hwa_watch;

/* Before the warm-up: temperatures and flags take their time to read, in which caches and threads would cool down. */
void hwa_watch_start(hwa_watch *watch, const hwa_cpus *cpus);
/* Once it is over: a governor that follows the load has made up its mind then. */
void hwa_watch_warm(hwa_watch *watch);
/* Between two samples: looks at the frequency if the last look was long ago. */
void hwa_watch_look(hwa_watch *watch);
void hwa_watch_end(hwa_watch *watch);

/* Members khz_before, khz_min, khz_after, governor, milli_c_before, milli_c_after, throttle, load1. `uncooled`: see
 * hwa_throttle_json. */
void hwa_watch_json(hwa_text *line, const hwa_watch *watch, bool uncooled);

/* Member load1. */
void hwa_load_json(hwa_text *line);

/* Starts the peak of the resident set anew: the resident bytes now, or -1 where the kernel can't. */
int64_t hwa_peak_reset(void);
/* Most resident bytes since hwa_peak_reset, less its answer `baseline`; -1 (unknown) for a baseline of -1. */
int64_t hwa_peak_above(int64_t baseline);

/* Involuntary context switches of this process so far. */
int64_t hwa_involuntary_switches(void);

#endif
