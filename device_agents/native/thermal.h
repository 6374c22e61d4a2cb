/* Temperature zones of the processor and the trip points at which the kernel acts. */
#ifndef HWA_THERMAL_H
#define HWA_THERMAL_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#define HWA_NO_TEMPERATURE INT64_MIN

/* Kinds of trip points, as bits. */
enum { HWA_TRIP_PASSIVE = 1, HWA_TRIP_HOT = 2, HWA_TRIP_CRITICAL = 4 };

typedef struct {
    int64_t milli_c;  /* the hottest zone of the processor; HWA_NO_TEMPERATURE: unknown */
    int64_t headroom; /* least distance of a zone from its first passive trip, negative above; INT64_MAX: no such trip */
    bool has_trips;
    unsigned reached; /* kinds of trip points at or below the temperature of their zone */
} hwa_heat;

hwa_heat hwa_heat_now(void);

/* Member "thermal": an array of all zones. */
void hwa_thermal_json(hwa_text *line);

#endif
