/* Which cpus to measure on. */
#ifndef HWA_CPUS_H
#define HWA_CPUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HWA_MAX_CPUS = 1024 };

typedef struct {
    int32_t count;
    int32_t ids[HWA_MAX_CPUS];
    bool loose; /* as many threads as cpus, but the kernel puts them where it likes */
} hwa_cpus;

/* "0-3,6": the form of the kernel and of taskset. False when it isn't that, or names a cpu twice. */
bool hwa_cpus_parse(const char *list, hwa_cpus *out);

/* The cpus this process may run on, ascending. */
bool hwa_cpus_allowed(hwa_cpus *out);

/* `threads` cpus: the first of `list`, or without a list (NULL) the first of the fastest cluster that has so many.
 * Threads of one measurement never straddle clusters unless the list says so, or they are `loose`. False, with `reason` filled, when that
 * can't be. */
bool hwa_cpus_choose(const char *list, int32_t threads, bool loose, hwa_cpus *out, char *reason, size_t size);

/* Pins the calling thread. False with errno set. */
bool hwa_cpu_pin(int32_t cpu);

#endif
