/* When a call is warm, and how often to time it. */
#ifndef HWA_SAMPLING_H
#define HWA_SAMPLING_H

#include "calm.h"
#include "conditions.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t min_time_ns; /* of all samples that are kept together; both minima must be met, max_count ends it in any case */
    int32_t min_count, max_count;
    bool thin; /* max_count does not end it: whenever so many are kept, every second one goes */
    uint64_t min_sample_ns; /* a sample repeats shorter calls until it lasts this long; 0: one call a sample */
} hwa_effort;

typedef struct {
    int (*call)(void *context);     /* what is timed; nonzero is an error and ends everything */
    void (*prepare)(void *context); /* run before each sample, not timed; may be NULL */
    void *context;
} hwa_timed;

typedef struct {
    uint64_t *tenths; /* of a nanosecond, per call; effort.max_count places */
    int32_t count;
    int32_t stride; /* a sample was kept of so many: 1 unless they were thinned */
    int32_t inner; /* calls a sample */
    bool converged; /* the warm-up ended because the time had settled, not because patience was over */
    int64_t involuntary_switches;
} hwa_samples;

/* Times one call. Nonzero: the call's error. */
int hwa_time_once(const hwa_timed *timed, uint64_t *ns);

/* Warms up, then fills samples->tenths and the watch on `cpu`; `calm` has its say, but not in thinned samples.
 * Nonzero: the call's error. */
int hwa_sample(const hwa_timed *timed, const hwa_effort *effort, hwa_calm *calm, const hwa_cpus *cpus, hwa_watch *watch,
               hwa_samples *samples);

#endif
