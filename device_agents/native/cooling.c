#include "cooling.h"

#include "clock.h"
#include "supervise.h"
#include "thermal.h"

/* A measurement warms the processor up: room for that below the first trip point, in thousandths of a degree. */
enum { MARGIN = 5000, LOOK_MS = 100 };

bool hwa_is_cool(void)
{
    return hwa_heat_now().headroom >= MARGIN;
}

bool hwa_cool_down(hwa_gate *gate, int64_t most_ms)
{
    const uint64_t start = hwa_now_ns();
    bool cool = hwa_is_cool();
    while (!cool && hwa_now_ns() - start < (uint64_t)gate->patience_ms * 1000000u) {
        hwa_supervise_sleep(LOOK_MS);
        cool = hwa_is_cool();
    }
    gate->patience_ms = cool ? most_ms : gate->patience_ms / 2;
    return cool;
}
