/* Whether somebody slowed the processor down: what firmware, kernel and trip points say. */
#ifndef HWA_THROTTLE_H
#define HWA_THROTTLE_H

#include "text.h"
#include "thermal.h"

#include <stdint.h>

typedef struct {
    int64_t firmware;        /* bits of a Raspberry Pi's get_throttled; -1: none */
    int64_t core, package;   /* times an x86 core or package was throttled since boot; -1: not told */
    hwa_heat heat;
} hwa_throttle;

hwa_throttle hwa_throttle_now(int32_t cpu);

/* Member "throttle": the flags seen, joined by "+", or "none", or null where the kernel has nothing to tell. `uncooled`
 * adds that the gate opened while it was still hot. */
void hwa_throttle_json(hwa_text *line, const hwa_throttle *before, const hwa_throttle *after, bool uncooled);

#endif
