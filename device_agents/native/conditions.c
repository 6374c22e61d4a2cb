#include "conditions.h"

#include "sysfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MAX_ZONES = 64 };

static bool read_zone(int zone, char *type, size_t size, int64_t *milli_c)
{
    char path[64];
    snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%d/type", zone);
    if (!hwa_read_text(path, type, size)) {
        return false;
    }
    snprintf(path, sizeof path, "/sys/class/thermal/thermal_zone%d/temp", zone);
    return hwa_read_int(path, milli_c);
}

static bool is_processor(const char *type)
{
    static const char *const parts[] = {"cpu", "CPU", "soc", "SoC", "x86_pkg", "k10temp", "package"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (strstr(type, parts[i]) != NULL) {
            return true;
        }
    }
    return false;
}

hwa_conditions hwa_conditions_now(int32_t cpu)
{
    hwa_conditions now = {.khz = hwa_cpu_int(cpu, "cpufreq/scaling_cur_freq"), .milli_c = HWA_NO_TEMPERATURE};
    for (int zone = 0; zone < MAX_ZONES; zone++) {
        char type[64];
        int64_t milli_c = 0;
        if (read_zone(zone, type, sizeof type, &milli_c) && is_processor(type) && milli_c > now.milli_c) {
            now.milli_c = milli_c;
        }
    }
    return now;
}

static void temperature(hwa_text *line, const char *name, int64_t milli_c)
{
    if (milli_c == HWA_NO_TEMPERATURE) {
        hwa_text_null(line, name);
    } else {
        hwa_text_int(line, name, milli_c);
    }
}

void hwa_conditions_json(hwa_text *line, hwa_conditions before, hwa_conditions after)
{
    hwa_text_known(line, "khz_before", before.khz);
    hwa_text_known(line, "khz_after", after.khz);
    temperature(line, "milli_c_before", before.milli_c);
    temperature(line, "milli_c_after", after.milli_c);
    hwa_load_json(line);
}

void hwa_load_json(hwa_text *line)
{
    char text[128];
    char *point = NULL;
    if (!hwa_read_text("/proc/loadavg", text, sizeof text)) {
        hwa_text_null(line, "load1");
        return;
    }
    const int64_t whole = strtol(text, &point, 10);
    const int64_t hundredths = *point == '.' ? strtol(point + 1, NULL, 10) : 0; /* the kernel prints two digits */
    hwa_text_fixed(line, "load1", whole * 100 + hundredths, 2);
}

void hwa_thermal_json(hwa_text *line)
{
    hwa_text_key(line, "thermal");
    hwa_text_raw(line, "[");
    for (int zone = 0; zone < MAX_ZONES; zone++) {
        char type[64];
        int64_t milli_c = 0;
        if (read_zone(zone, type, sizeof type, &milli_c)) {
            hwa_text_key(line, NULL);
            hwa_text_raw(line, "{");
            hwa_text_string(line, "type", type);
            hwa_text_int(line, "milli_c", milli_c);
            hwa_text_raw(line, "}");
        }
    }
    hwa_text_raw(line, "]");
}

int64_t hwa_peak_reset(void)
{
    const int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    const bool ok = write(fd, "5", 1) == 1;
    close(fd);
    return ok ? hwa_read_kb_field("/proc/self/status", "VmHWM") : -1;
}

int64_t hwa_peak_above(int64_t baseline)
{
    const int64_t peak = baseline >= 0 ? hwa_read_kb_field("/proc/self/status", "VmHWM") : -1;
    if (peak < 0) {
        return -1;
    }
    return peak > baseline ? peak - baseline : 0;
}

int64_t hwa_involuntary_switches(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}
