#include "processor.h"

#include "sysfs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CPUINFO_SIZE = 1 << 20, VALUE_SIZE = 4096 };

const char *hwa_arch(void)
{
#if defined(__x86_64__)
    return "x86_64";
#elif defined(__aarch64__)
    return "aarch64";
#elif defined(__arm__)
    return "armv7l";
#elif defined(__riscv) && __riscv_xlen == 64
    return "riscv64";
#else
#error "no name for this architecture"
#endif
}

/* The value after "KEY<tabs>: " of the first line from `text` on that has this key. */
static bool find_value(const char *text, const char *key, char *out, size_t size)
{
    const size_t length = strlen(key);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        const char *after = line + length;
        if (strncmp(line, key, length) != 0) {
            continue;
        }
        after += strspn(after, " \t");
        if (*after != ':') {
            continue;
        }
        after += 1 + strspn(after + 1, " ");
        const size_t n = strcspn(after, "\n");
        snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), after);
        return true;
    }
    return false;
}

/* Big and little cores differ: the part is that of the core with the greatest capacity, else of the last one listed,
 * where kernels put the big ones. */
static void read_arm_cores(const char *cpuinfo, hwa_processor *out)
{
    int64_t most = -1;
    const hwa_core *fastest = NULL;
    const char *at = strstr(cpuinfo, "processor");
    while (at != NULL && out->count < HWA_MAX_CPUS) {
        hwa_core *core = &out->cores[out->count];
        char number[16];
        at += *at == '\n';
        if (!find_value(at, "processor", number, sizeof number) ||
            !find_value(at, "CPU part", core->part, sizeof core->part)) {
            break;
        }
        find_value(at, "CPU implementer", core->implementer, sizeof core->implementer);
        core->cpu = (int32_t)strtol(number, NULL, 10);
        const int64_t capacity = hwa_cpu_int(core->cpu, "cpu_capacity");
        if (capacity >= most) {
            most = capacity;
            fastest = core;
        }
        out->count++;
        at = strstr(at + 1, "\nprocessor");
    }
    if (fastest == NULL) {
        return;
    }
    memcpy(out->part, fastest->part, sizeof out->part);
    const char *name = hwa_arm_part_name(fastest->implementer, fastest->part);
    if (name != NULL) {
        snprintf(out->model, sizeof out->model, "%s", name);
    }
}

static bool has_word(const char *words, const char *word, size_t length)
{
    for (const char *at = words; *(at += strspn(at, " ")) != '\0'; at += strcspn(at, " ")) {
        if (strcspn(at, " ") == length && strncmp(at, word, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Leaves those of `words` that are in `others` as well. */
static void keep_common(char *words, const char *others)
{
    char *end = words;
    for (const char *at = words; *(at += strspn(at, " ")) != '\0';) {
        const size_t length = strcspn(at, " ");
        if (has_word(others, at, length)) {
            if (end != words) {
                *end++ = ' ';
            }
            memmove(end, at, length);
            end += length;
        }
        at += length;
    }
    *end = '\0';
}

/* What every listed core can do, for code may come to run on any of them. False when nothing is listed. */
static bool find_features(const char *cpuinfo, const char *key, char *out, size_t size)
{
    char others[VALUE_SIZE];
    if (!find_value(cpuinfo, key, out, size)) {
        return false;
    }
    for (const char *at = strstr(cpuinfo, "\nprocessor"); at != NULL; at = strstr(at + 1, "\nprocessor")) {
        if (find_value(at + 1, key, others, sizeof others) && strcmp(out, others) != 0) {
            keep_common(out, others);
        }
    }
    return true;
}

/* /proc/sys/kernel/arch (Linux 6.1) names the machine's own architecture even to an emulated process. */
static bool is_emulated(const char *cpuinfo)
{
    char native[32], value[8];
    const bool x86 = strcmp(hwa_arch(), "x86_64") == 0;
    if (!hwa_read_text("/proc/sys/kernel/arch", native, sizeof native)) {
        return !x86 && find_value(cpuinfo, "vendor_id", value, sizeof value);
    }
    const bool on_arm = strncmp(native, "arm", 3) == 0 || strcmp(native, "aarch64") == 0;
    const bool arm_on_arm = on_arm && strcmp(hwa_arch(), "armv7l") == 0;
    return strcmp(native, hwa_arch()) != 0 && !arm_on_arm;
}

void hwa_processor_read(hwa_processor *out)
{
    memset(out, 0, sizeof *out);
    char *cpuinfo = malloc(CPUINFO_SIZE);
    if (cpuinfo == NULL) {
        return;
    }
    hwa_read_text("/proc/cpuinfo", cpuinfo, CPUINFO_SIZE);
    out->emulated = is_emulated(cpuinfo);
    if (out->emulated) {
        cpuinfo[0] = '\0'; /* it may be the host's */
    }
    const bool x86 = strcmp(hwa_arch(), "x86_64") == 0;
    if (!x86) {
        read_arm_cores(cpuinfo, out);
    }
    if (out->model[0] == '\0' && !find_value(cpuinfo, "model name", out->model, sizeof out->model)) {
        find_value(cpuinfo, "uarch", out->model, sizeof out->model); /* RISC-V */
    }
    if (!find_features(cpuinfo, x86 ? "flags" : "Features", out->features, sizeof out->features)) {
        hwa_hwcap_features(out->features, sizeof out->features);
    }
    free(cpuinfo);
}

void hwa_processor_features_json(hwa_text *line, const hwa_processor *processor)
{
    char name[64];
    hwa_text_key(line, "features");
    hwa_text_raw(line, "[");
    const char *at = processor->features;
    while (*(at += strspn(at, " ")) != '\0') {
        const size_t n = strcspn(at, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, at);
        hwa_text_string(line, NULL, name);
        at += n;
    }
    hwa_text_raw(line, "]");
}

void hwa_processor_core_json(hwa_text *line, const hwa_processor *processor, int32_t cpu)
{
    const char *part = NULL, *name = NULL;
    for (int32_t i = 0; i < processor->count; i++) {
        const hwa_core *core = &processor->cores[i];
        if (core->cpu == cpu) {
            part = core->part;
            name = hwa_arm_part_name(core->implementer, core->part);
        }
    }
    hwa_text_string(line, "part", part);
    hwa_text_string(line, "core", name);
}
