/* What the processor is and can do. */
#ifndef HWA_PROCESSOR_H
#define HWA_PROCESSOR_H

#include "text.h"

#include <stdbool.h>

typedef struct {
    char model[128];     /* "AMD EPYC", "Cortex-A72"; "" when unknown */
    char part[16];       /* ARM: "0xd08", of the fastest core; "" elsewhere */
    char features[4096]; /* separated by spaces */
    bool emulated;       /* under qemu-user: what /proc says is another machine's, and times mean nothing */
} hwa_processor;

void hwa_processor_read(hwa_processor *out);

/* Member "features": an array of strings. */
void hwa_processor_features_json(hwa_text *line, const hwa_processor *processor);

/* The architecture this agent was compiled for: x86_64, aarch64, armv7l, riscv64. */
const char *hwa_arch(void);

/* In hwcap.c, for ARM kernels that hide /proc/cpuinfo: feature names from the auxiliary vector. */
void hwa_hwcap_features(char *out, size_t size);

/* In arm_parts.c: "Cortex-A72" for "0xd08"; NULL when unknown. */
const char *hwa_arm_part_name(const char *implementer, const char *part);

#endif
