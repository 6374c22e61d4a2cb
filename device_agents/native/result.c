#include "result.h"

void hwa_cpus_json(hwa_text *line, const hwa_cpus *cpus)
{
    hwa_cpus allowed;
    const hwa_cpus *listed = cpus->loose && hwa_cpus_allowed(&allowed) ? &allowed : cpus;
    hwa_text_bool(line, "pinned", !cpus->loose);
    hwa_text_key(line, "cpus");
    hwa_text_raw(line, "[");
    for (int32_t i = 0; i < listed->count; i++) {
        hwa_text_int(line, NULL, listed->ids[i]);
    }
    hwa_text_raw(line, "]");
}

void hwa_tenths_json(hwa_text *line, const uint64_t *tenths, int32_t count)
{
    hwa_text_key(line, "samples_ns");
    hwa_text_raw(line, "[");
    for (int32_t i = 0; i < count; i++) {
        hwa_text_fixed(line, NULL, (int64_t)tenths[i], 1);
    }
    hwa_text_raw(line, "]");
}

void hwa_samples_json(hwa_text *line, const hwa_samples *samples)
{
    hwa_text_int(line, "inner", samples->inner);
    hwa_text_int(line, "stride", samples->stride);
    hwa_text_bool(line, "converged", samples->converged);
    hwa_text_int(line, "involuntary_switches", samples->involuntary_switches);
    hwa_tenths_json(line, samples->tenths, samples->count);
}
