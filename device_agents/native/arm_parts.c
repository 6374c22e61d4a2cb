/* Part numbers of ARM's MIDR register, from the cores' reference manuals. */
#include "processor.h"

#include <string.h>

typedef struct {
    const char *part, *name;
} part_name;

static const part_name arm_limited[] = {
    {"0xc05", "Cortex-A5"},   {"0xc07", "Cortex-A7"},   {"0xc08", "Cortex-A8"},   {"0xc09", "Cortex-A9"},
    {"0xc0d", "Cortex-A17"},  {"0xc0f", "Cortex-A15"},  {"0xd01", "Cortex-A32"},  {"0xd03", "Cortex-A53"},
    {"0xd04", "Cortex-A35"},  {"0xd05", "Cortex-A55"},  {"0xd07", "Cortex-A57"},  {"0xd08", "Cortex-A72"},
    {"0xd09", "Cortex-A73"},  {"0xd0a", "Cortex-A75"},  {"0xd0b", "Cortex-A76"},  {"0xd0c", "Neoverse-N1"},
    {"0xd0d", "Cortex-A77"},  {"0xd40", "Neoverse-V1"}, {"0xd41", "Cortex-A78"},  {"0xd42", "Cortex-A78AE"},
    {"0xd44", "Cortex-X1"},   {"0xd46", "Cortex-A510"}, {"0xd47", "Cortex-A710"}, {"0xd48", "Cortex-X2"},
    {"0xd49", "Neoverse-N2"}, {"0xd4b", "Cortex-A78C"}, {"0xd4d", "Cortex-A715"}, {"0xd4e", "Cortex-X3"},
    {"0xd4f", "Neoverse-V2"}, {"0xd80", "Cortex-A520"}, {"0xd81", "Cortex-A720"}, {"0xd82", "Cortex-X4"},
    {"0xd84", "Neoverse-V3"}, {"0xd85", "Cortex-X925"}, {"0xd87", "Cortex-A725"}, {"0xd8e", "Neoverse-N3"},
};

const char *hwa_arm_part_name(const char *implementer, const char *part)
{
    for (size_t i = 0; strcmp(implementer, "0x41") == 0 && i < sizeof arm_limited / sizeof arm_limited[0]; i++) {
        if (strcmp(arm_limited[i].part, part) == 0) {
            return arm_limited[i].name;
        }
    }
    return NULL;
}
