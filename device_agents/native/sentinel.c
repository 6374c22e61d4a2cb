#include "sentinel.h"

#include "clock.h"

enum { ROUNDS = 90000, RUNS = 3 };

/* Four generators that do not wait for each other keep the multiplier busy: where a core is shared by two threads, its
 * other user shows. One generator alone waits for its own results most of the time and would not notice. */
static uint64_t run(void)
{
    uint32_t a = 1, b = 2, c = 3, d = 4;
    const uint64_t start = hwa_now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        a = a * 1664525u + 1013904223u;
        b = b * 1664525u + 1013904223u;
        c = c * 1664525u + 1013904223u;
        d = d * 1664525u + 1013904223u;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d)); /* nothing to foresee, vectorise or leave out */
    }
    return hwa_now_ns() - start;
}

uint64_t hwa_sentinel_ns(void)
{
    uint64_t sorted[RUNS];
    for (int n = 0; n < RUNS; n++) {
        const uint64_t ns = run();
        int at = n;
        for (; at > 0 && sorted[at - 1] > ns; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = ns;
    }
    return sorted[RUNS / 2];
}
