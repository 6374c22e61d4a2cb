#include "conditions.h"

#include "clock.h"
#include "sysfs.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

/* A look at the frequency is a system call or, on some boards, a question to the firmware: now and then is enough. */
#define BETWEEN_LOOKS_NS 10000000u

static int64_t frequency(const hwa_watch *watch)
{
    return watch->loose ? -1 : hwa_cpu_int(watch->cpu, "cpufreq/scaling_cur_freq");
}

void hwa_watch_start(hwa_watch *watch, const hwa_cpus *cpus)
{
    const int32_t cpu = cpus->ids[0];
    *watch = (hwa_watch){.cpu = cpu, .loose = cpus->loose, .before = hwa_throttle_now(cpu)};
}

void hwa_watch_warm(hwa_watch *watch)
{
    const int64_t khz = frequency(watch);
    watch->khz_before = watch->khz_min = watch->khz_after = khz;
    watch->looked_ns = hwa_now_ns();
}

static void look(hwa_watch *watch)
{
    watch->khz_after = frequency(watch);
    if (watch->khz_after >= 0 && watch->khz_after < watch->khz_min) {
        watch->khz_min = watch->khz_after;
    }
    watch->looked_ns = hwa_now_ns();
}

void hwa_watch_look(hwa_watch *watch)
{
    if (watch->khz_before >= 0 && hwa_now_ns() - watch->looked_ns >= BETWEEN_LOOKS_NS) {
        look(watch);
    }
}

void hwa_watch_end(hwa_watch *watch)
{
    look(watch);
    watch->after = hwa_throttle_now(watch->cpu);
}

static void temperature(hwa_text *line, const char *name, int64_t milli_c)
{
    if (milli_c == HWA_NO_TEMPERATURE) {
        hwa_text_null(line, name);
    } else {
        hwa_text_int(line, name, milli_c);
    }
}

static void governor(hwa_text *line, int32_t cpu)
{
    char path[96], text[64];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", (int)cpu);
    hwa_text_string(line, "governor", hwa_read_text(path, text, sizeof text) ? text : NULL);
}

void hwa_watch_json(hwa_text *line, const hwa_watch *watch, bool uncooled)
{
    hwa_text_known(line, "khz_before", watch->khz_before);
    hwa_text_known(line, "khz_min", watch->khz_min);
    hwa_text_known(line, "khz_after", watch->khz_after);
    governor(line, watch->cpu);
    temperature(line, "milli_c_before", watch->before.heat.milli_c);
    temperature(line, "milli_c_after", watch->after.heat.milli_c);
    hwa_throttle_json(line, &watch->before, &watch->after, uncooled);
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
