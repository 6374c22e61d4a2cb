#include "throttle.h"

#include "sysfs.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Bits of vcgencmd get_throttled: now, and STICKY higher the same since boot (or since somebody asked). */
enum { STICKY = 16 };
static const char *const firmware_words[] = {"under_voltage", "frequency_capped", "throttled", "soft_temperature_limit"};

static const struct {
    unsigned kind;
    const char *word;
} trips[] = {{HWA_TRIP_PASSIVE, "passive_trip"}, {HWA_TRIP_HOT, "hot_trip"}, {HWA_TRIP_CRITICAL, "critical_trip"}};

#define COUNT(table) (sizeof table / sizeof table[0])

static int64_t firmware_bits(void)
{
    char text[32];
    char *end = NULL;
    if (!hwa_read_text("/sys/devices/platform/soc/soc:firmware/get_throttled", text, sizeof text)) {
        return -1;
    }
    const unsigned long bits = strtoul(text, &end, 16); /* with 0x or without */
    return end != text && *end == '\0' ? (int64_t)(bits & 0xffffffffu) : -1;
}

hwa_throttle hwa_throttle_now(int32_t cpu)
{
    return (hwa_throttle){.firmware = firmware_bits(),
                          .core = hwa_cpu_int(cpu, "thermal_throttle/core_throttle_count"),
                          .package = hwa_cpu_int(cpu, "thermal_throttle/package_throttle_count"),
                          .heat = hwa_heat_now()};
}

static void add(char *words, size_t size, bool seen, const char *word)
{
    const size_t used = strlen(words);
    if (seen && used + strlen(word) + 2 <= size) {
        strcat(words, used > 0 ? "+" : "");
        strcat(words, word);
    }
}

/* A sticky bit set before tells nothing of this measurement; one that rose meanwhile does. */
static unsigned firmware_seen(int64_t before, int64_t after)
{
    const unsigned first = before < 0 ? 0 : (unsigned)before, last = after < 0 ? 0 : (unsigned)after;
    return first | last | (last & ~first) >> STICKY;
}

void hwa_throttle_json(hwa_text *line, const hwa_throttle *before, const hwa_throttle *after, bool uncooled)
{
    char words[192] = "";
    const unsigned firmware = firmware_seen(before->firmware, after->firmware);
    const unsigned reached = before->heat.reached | after->heat.reached;
    const bool told = after->firmware >= 0 || after->core >= 0 || after->package >= 0 || after->heat.has_trips;
    for (size_t i = 0; i < COUNT(firmware_words); i++) {
        add(words, sizeof words, (firmware >> i & 1u) != 0, firmware_words[i]);
    }
    add(words, sizeof words, before->core >= 0 && after->core > before->core, "core_throttled");
    add(words, sizeof words, before->package >= 0 && after->package > before->package, "package_throttled");
    for (size_t i = 0; i < COUNT(trips); i++) {
        add(words, sizeof words, (reached & trips[i].kind) != 0, trips[i].word);
    }
    add(words, sizeof words, uncooled, "not_cooled");
    hwa_text_string(line, "throttle", words[0] != '\0' ? words : told ? "none" : NULL);
}
