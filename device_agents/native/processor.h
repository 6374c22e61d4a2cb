/* What the processor is and can do. */
#ifndef HWA_PROCESSOR_H
#define HWA_PROCESSOR_H

#include "cpus.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int32_t cpu;
    char implementer[16], part[16]; /* "0x41", "0xd08" */
} hwa_core;

typedef struct {
    char model[128];     /* "AMD EPYC", "Cortex-A72"; "" when unknown */
    char part[16];       /* ARM: "0xd08", of the fastest core; "" elsewhere */
    char features[4096]; /* of all cores, separated by spaces */
    bool emulated;       /* under qemu-user: what /proc says is another machine's, and times mean nothing */
    int32_t count;       /* ARM: of the online cores that follow */
    hwa_core cores[HWA_MAX_CPUS];
} hwa_processor;

void hwa_processor_read(hwa_processor *out);

/* Member "features": an array of strings. */
void hwa_processor_features_json(hwa_text *line, const hwa_processor *processor);

/* Members "part" and "core" of one cpu: "0xd08", "Cortex-A72"; null where unknown. */
void hwa_processor_core_json(hwa_text *line, const hwa_processor *processor, int32_t cpu);

/* The architecture this agent was compiled for: x86_64, aarch64, armv7l, riscv64. */
const char *hwa_arch(void);

/* In hwcap.c, for ARM kernels that hide /proc/cpuinfo: feature names from the auxiliary vector. */
void hwa_hwcap_features(char *out, size_t size);

/* In arm_parts.c: "Cortex-A72" for "0xd08"; NULL when unknown. */
const char *hwa_arm_part_name(const char *implementer, const char *part);

#endif
