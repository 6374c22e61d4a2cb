/* The command line. */
#ifndef HWA_OPTIONS_H
#define HWA_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum { HWA_MAX_FILES = 64 };

typedef struct {
    int64_t threads;
    int64_t min_time_ms;
    int64_t min_count, max_count; /* max_count wins */
    int64_t timeout_ms;
    int64_t seed;
    int64_t cool_ms;     /* longest wait for a hot processor before a measurement */
    int64_t displace_kb; /* bench: what the rest of a model touches between two calls; 0: calls follow each other */
    int64_t calm_work_ns, calm_meeting_ns; /* sentinels of a calm machine, see calm.h; 0: not asked for */
    int64_t patience_ms;                   /* for a machine that is not calm */
    const char *cpu_list;  /* NULL: chosen by the agent */
    const char *only_from; /* bench: file of cell ids; NULL: all */
    const char *sysfs;     /* where /sys is looked up; "": where it is */
    bool per_op;           /* run */
    bool thin;             /* run: max_count bounds the samples that are kept, not the time */
    bool lock_frequency;
    bool no_pin; /* threads go where the kernel puts them */
    int32_t n_inputs, n_outputs;
    const char *inputs[HWA_MAX_FILES], *outputs[HWA_MAX_FILES];
} hwa_options;

enum { HWA_BENCH = 1, HWA_RUN = 2 };

/* Parses what follows the verb over the verb's defaults. False after a message on stderr: exit with status 2. */
bool hwa_options_parse(int verb, int argc, char **argv, hwa_options *out);

#endif
