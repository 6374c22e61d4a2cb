/* The frequency of the measured cpus, fixed for a while through cpufreq. lock.h sees to it that it is given back. */
#ifndef HWA_FREQUENCY_H
#define HWA_FREQUENCY_H

#include "cpus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct hwa_policies hwa_policies;

/* Fixes the governor and both limits of the cpus and of those that share their clock. NULL: out of memory. Otherwise
 * *khz is what the first cpu is fixed at, or negative with `reason` filled: then nothing is left changed. */
hwa_policies *hwa_frequency_fix(const hwa_cpus *cpus, int64_t *khz, char *reason, size_t size);

/* Writes back every file as it was, in an order that the kernel takes. */
void hwa_frequency_restore(hwa_policies *policies);

#endif
