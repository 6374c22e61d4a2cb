#include "thermal.h"

#include "sysfs.h"

#include <stdio.h>
#include <string.h>

enum { MAX_ZONES = 64, MAX_TRIPS = 12, TYPE_SIZE = 64, PATH_SIZE = 96 };

/* The firmware of a Raspberry Pi lowers the clock from 80 degrees on, whatever trip points the kernel knows. */
enum { RASPBERRY_PASSIVE = 80000 };
static const char raspberry[] = "/sys/devices/platform/soc/soc:firmware/get_throttled";

static const char *zone_file(char *path, int zone, const char *leaf)
{
    snprintf(path, PATH_SIZE, "/sys/class/thermal/thermal_zone%d/%s", zone, leaf);
    return path;
}

static bool read_zone(int zone, char *type, size_t size, int64_t *milli_c)
{
    char path[PATH_SIZE];
    return hwa_read_text(zone_file(path, zone, "type"), type, size) &&
           hwa_read_int(zone_file(path, zone, "temp"), milli_c);
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

static unsigned trip_kind(const char *type)
{
    static const struct {
        const char *type;
        unsigned kind;
    } kinds[] = {{"passive", HWA_TRIP_PASSIVE}, {"hot", HWA_TRIP_HOT}, {"critical", HWA_TRIP_CRITICAL}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(type, kinds[i].type) == 0) {
            return kinds[i].kind;
        }
    }
    return 0; /* "active" switches a fan on, which slows nothing down */
}

static void approach(hwa_heat *heat, int64_t headroom)
{
    heat->headroom = headroom < heat->headroom ? headroom : heat->headroom;
}

static void look_at_trips(hwa_heat *heat, int zone, int64_t milli_c)
{
    for (int trip = 0; trip < MAX_TRIPS; trip++) {
        char leaf[32], path[PATH_SIZE], type[TYPE_SIZE];
        int64_t limit = 0;
        snprintf(leaf, sizeof leaf, "trip_point_%d_type", trip);
        const unsigned kind = hwa_read_text(zone_file(path, zone, leaf), type, sizeof type) ? trip_kind(type) : 0;
        snprintf(leaf, sizeof leaf, "trip_point_%d_temp", trip);
        /* Drivers give 0 or less for a trip point that is switched off. */
        if (kind == 0 || !hwa_read_int(zone_file(path, zone, leaf), &limit) || limit <= 0) {
            continue;
        }
        heat->has_trips = true;
        heat->reached |= milli_c >= limit ? kind : 0;
        if (kind == HWA_TRIP_PASSIVE) {
            approach(heat, limit - milli_c);
        }
    }
}

hwa_heat hwa_heat_now(void)
{
    char text[32];
    hwa_heat heat = {.milli_c = HWA_NO_TEMPERATURE, .headroom = INT64_MAX};
    for (int zone = 0; zone < MAX_ZONES; zone++) {
        char type[TYPE_SIZE];
        int64_t milli_c = 0;
        if (read_zone(zone, type, sizeof type, &milli_c) && is_processor(type)) {
            heat.milli_c = milli_c > heat.milli_c ? milli_c : heat.milli_c;
            look_at_trips(&heat, zone, milli_c);
        }
    }
    if (heat.milli_c != HWA_NO_TEMPERATURE && hwa_read_text(raspberry, text, sizeof text)) {
        approach(&heat, RASPBERRY_PASSIVE - heat.milli_c);
    }
    return heat;
}

void hwa_thermal_json(hwa_text *line)
{
    hwa_text_key(line, "thermal");
    hwa_text_raw(line, "[");
    for (int zone = 0; zone < MAX_ZONES; zone++) {
        char type[TYPE_SIZE];
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
