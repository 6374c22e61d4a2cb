/* Members that a cell's line and a run's line share. */
#ifndef HWA_RESULT_H
#define HWA_RESULT_H

#include "cpus.h"
#include "sampling.h"
#include "text.h"

/* pinned, cpus: the pinned ones, or, where the threads are loose, all they may run on. */
void hwa_cpus_json(hwa_text *line, const hwa_cpus *cpus);

/* inner, stride, converged, involuntary_switches, samples_ns. */
void hwa_samples_json(hwa_text *line, const hwa_samples *samples);

/* "samples_ns" of values in tenths of a nanosecond. */
void hwa_tenths_json(hwa_text *line, const uint64_t *tenths, int32_t count);

#endif
