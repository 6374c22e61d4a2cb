#include "info.h"

#include "conditions.h"
#include "cpus.h"
#include "hwa.h"
#include "processor.h"
#include "sysfs.h"
#include "text.h"
#include "thermal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { MAX_CACHES = 16 };

static void string_file(hwa_text *line, const char *name, const char *path)
{
    char text[64];
    hwa_text_string(line, name, hwa_read_text(path, text, sizeof text) ? text : NULL);
}

static void cpu_json(hwa_text *line, const hwa_processor *processor, int32_t cpu)
{
    char path[128];
    hwa_text_key(line, NULL);
    hwa_text_raw(line, "{");
    hwa_text_int(line, "id", cpu);
    hwa_text_bool(line, "online", hwa_cpu_int(cpu, "online") != 0); /* the boot cpu has no such file */
    hwa_text_known(line, "capacity", hwa_cpu_int(cpu, "cpu_capacity"));
    hwa_text_known(line, "max_khz", hwa_cpu_int(cpu, "cpufreq/cpuinfo_max_freq"));
    hwa_text_known(line, "cur_khz", hwa_cpu_int(cpu, "cpufreq/scaling_cur_freq"));
    hwa_text_known(line, "scaling_min_khz", hwa_cpu_int(cpu, "cpufreq/scaling_min_freq"));
    hwa_text_known(line, "scaling_max_khz", hwa_cpu_int(cpu, "cpufreq/scaling_max_freq"));
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", (int)cpu);
    string_file(line, "governor", path);
    hwa_processor_core_json(line, processor, cpu);
    hwa_text_raw(line, "}");
}

static void cpus_json(hwa_text *line, const hwa_processor *processor)
{
    char text[256];
    hwa_cpus cpus;
    const bool listed = hwa_read_text("/sys/devices/system/cpu/present", text, sizeof text);
    if (!(listed && hwa_cpus_parse(text, &cpus)) && !hwa_cpus_allowed(&cpus)) {
        cpus.count = 0;
    }
    hwa_text_key(line, "cpus");
    hwa_text_raw(line, "[");
    for (int32_t i = 0; i < cpus.count; i++) {
        cpu_json(line, processor, cpus.ids[i]);
    }
    hwa_text_raw(line, "]");
}

/* "32K" or "8M" as bytes; -1 when it is neither. */
static int64_t cache_bytes(const char *text)
{
    char *end = NULL;
    const long long number = strtoll(text, &end, 10);
    const int64_t unit = *end == 'K' ? 1024 : *end == 'M' ? 1024 * 1024 : *end == '\0' ? 1 : -1;
    return unit > 0 && number > 0 ? number * unit : -1;
}

/* Of the cpu one thread would be measured on: big cores have other caches than little ones. */
static int32_t measured_cpu(void)
{
    hwa_cpus cpus;
    char reason[256];
    return hwa_cpus_choose(NULL, 1, false, &cpus, reason, sizeof reason) ? cpus.ids[0] : 0;
}

static bool cache_text(int32_t cpu, int index, const char *leaf, char *out, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cache/index%d/%s", (int)cpu, index, leaf);
    return hwa_read_text(path, out, size);
}

static void caches_json(hwa_text *line)
{
    const int32_t cpu = measured_cpu();
    hwa_text_key(line, "caches");
    hwa_text_raw(line, "[");
    for (int i = 0; i < MAX_CACHES; i++) {
        char leaf[64], type[32], size[32];
        snprintf(leaf, sizeof leaf, "cache/index%d/level", i);
        const int64_t level = hwa_cpu_int(cpu, leaf);
        const bool typed = cache_text(cpu, i, "type", type, sizeof type);
        const bool sized = cache_text(cpu, i, "size", size, sizeof size) && cache_bytes(size) > 0;
        if (level < 0 || !typed || !sized) {
            continue;
        }
        hwa_text_key(line, NULL);
        hwa_text_raw(line, "{");
        hwa_text_int(line, "level", level);
        hwa_text_string(line, "type", type);
        hwa_text_int(line, "bytes", cache_bytes(size));
        hwa_text_raw(line, "}");
    }
    hwa_text_raw(line, "]");
}

static void os_json(hwa_text *line)
{
    static const char key[] = "PRETTY_NAME=\"";
    char text[4096];
    char *name = hwa_read_text("/etc/os-release", text, sizeof text) ? strstr(text, key) : NULL;
    if (name != NULL) {
        name += sizeof key - 1;
        name[strcspn(name, "\"\n")] = '\0';
    }
    hwa_text_string(line, "os", name);
}

static void machine_json(hwa_text *line, const hwa_processor *processor)
{
    static const char *const sources[] = {"/proc/device-tree/model", "/sys/firmware/devicetree/base/model",
                                          "/sys/class/dmi/id/product_name"};
    char text[128];
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (hwa_read_text(sources[i], text, sizeof text)) {
            hwa_text_string(line, "machine_model", text);
            return;
        }
    }
    hwa_text_string(line, "machine_model", processor->model[0] != '\0' ? processor->model : NULL);
}

/* "raspberrypi,4-model-b", NUL, "brcm,bcm2711": the board first, its chip last. */
static void compatible_json(hwa_text *line)
{
    char text[1024] = "";
    if (!hwa_read_text("/proc/device-tree/compatible", text, sizeof text)) {
        hwa_read_text("/sys/firmware/devicetree/base/compatible", text, sizeof text);
    }
    hwa_text_key(line, "compatible");
    hwa_text_raw(line, "[");
    for (const char *at = text; at < text + sizeof text && *at != '\0'; at += strlen(at) + 1) {
        hwa_text_string(line, NULL, at);
    }
    hwa_text_raw(line, "]");
}

int hwa_info(void)
{
    struct utsname name;
    hwa_text line = {0};
    hwa_processor processor;
    hwa_processor_read(&processor);
    const bool named = uname(&name) == 0;
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "info");
    hwa_text_int(&line, "protocol", HWA_PROTOCOL);
    hwa_text_null(&line, "agent_sha256"); /* the host knows what it pushed */
    hwa_text_string(&line, "arch", hwa_arch());
    hwa_text_bool(&line, "emulated", processor.emulated);
    hwa_text_string(&line, "kernel", named ? name.release : NULL);
    machine_json(&line, &processor);
    compatible_json(&line);
    hwa_text_string(&line, "cpu_model", processor.model[0] != '\0' ? processor.model : NULL);
    hwa_text_string(&line, "cpu_part", processor.part[0] != '\0' ? processor.part : NULL);
    hwa_processor_features_json(&line, &processor);
    cpus_json(&line, &processor);
    caches_json(&line);
    hwa_text_known(&line, "memory_bytes", hwa_read_kb_field("/proc/meminfo", "MemTotal"));
    hwa_text_int(&line, "page_bytes", sysconf(_SC_PAGESIZE));
    hwa_load_json(&line);
    hwa_thermal_json(&line);
    os_json(&line);
    hwa_text_null(&line, "libc"); /* the agent brings its own */
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, STDOUT_FILENO);
    hwa_text_free(&line);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
