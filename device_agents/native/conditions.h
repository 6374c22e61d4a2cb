/* The state of the machine around a measurement. */
#ifndef HWA_CONDITIONS_H
#define HWA_CONDITIONS_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t khz;     /* of the first measured cpu; -1: unknown */
    int64_t milli_c; /* the hottest zone of the processor; HWA_NO_TEMPERATURE: unknown */
} hwa_conditions;

#define HWA_NO_TEMPERATURE INT64_MIN

hwa_conditions hwa_conditions_now(int32_t cpu);

/* Members khz_before, khz_after, milli_c_before, milli_c_after, load1. */
void hwa_conditions_json(hwa_text *line, hwa_conditions before, hwa_conditions after);

/* Members of one point in time: load1, and thermal as an array of zones. */
void hwa_load_json(hwa_text *line);
void hwa_thermal_json(hwa_text *line);

/* Starts the peak of the resident set anew: the resident bytes now, or -1 where the kernel can't. */
int64_t hwa_peak_reset(void);
/* Most resident bytes since hwa_peak_reset, less its answer `baseline`; -1 (unknown) for a baseline of -1. */
int64_t hwa_peak_above(int64_t baseline);

/* Involuntary context switches of this process so far. */
int64_t hwa_involuntary_switches(void);

#endif
