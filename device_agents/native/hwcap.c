#include "processor.h"

#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

typedef struct {
    unsigned long vector; /* AT_HWCAP or AT_HWCAP2 */
    int bit;
    const char *name; /* as in /proc/cpuinfo */
} capability;

/* Bits of the kernel's user-space ABI (asm/hwcap.h): only those that a compiler target depends on. */
static const capability capabilities[] = {
#if defined(__aarch64__)
    {AT_HWCAP, 0, "fp"},       {AT_HWCAP, 1, "asimd"},    {AT_HWCAP, 3, "aes"},       {AT_HWCAP, 7, "crc32"},
    {AT_HWCAP, 8, "atomics"},  {AT_HWCAP, 9, "fphp"},     {AT_HWCAP, 10, "asimdhp"},  {AT_HWCAP, 12, "asimdrdm"},
    {AT_HWCAP, 20, "asimddp"}, {AT_HWCAP, 22, "sve"},     {AT_HWCAP, 23, "asimdfhm"}, {AT_HWCAP2, 1, "sve2"},
    {AT_HWCAP2, 13, "i8mm"},   {AT_HWCAP2, 14, "bf16"},   {AT_HWCAP2, 23, "sme"},
#elif defined(__arm__)
    {AT_HWCAP, 12, "neon"},    {AT_HWCAP, 13, "vfpv3"},   {AT_HWCAP, 16, "vfpv4"},    {AT_HWCAP, 17, "idiva"},
    {AT_HWCAP, 22, "fphp"},    {AT_HWCAP, 23, "asimdhp"}, {AT_HWCAP, 24, "asimddp"},  {AT_HWCAP, 27, "i8mm"},
#elif defined(__riscv)
    {AT_HWCAP, 'f' - 'a', "f"}, {AT_HWCAP, 'd' - 'a', "d"}, {AT_HWCAP, 'c' - 'a', "c"}, {AT_HWCAP, 'v' - 'a', "v"},
#endif
    {AT_HWCAP, 0, NULL},
};

void hwa_hwcap_features(char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (const capability *one = capabilities; one->name != NULL; one++) {
        if ((getauxval(one->vector) >> one->bit & 1u) != 0 && used + strlen(one->name) + 2 < size) {
            used += (size_t)snprintf(out + used, size - used, used > 0 ? " %s" : "%s", one->name);
        }
    }
}
