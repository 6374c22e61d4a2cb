/* The sentinel's glance where a worker has parked: prints the least work_ns of some looks, each after such a block. Waking
 * the worker takes WAKE_NS here, the work itself nothing. */
#include "clock.h"
#include "pool.h"
#include "sentinel.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { LOOKS = 20, WAKE_NS = 2000000 };
static bool parked;

static void wake(void)
{
    for (const uint64_t end = hwa_now_ns() + WAKE_NS; parked && hwa_now_ns() < end;) {
    }
    parked = false;
}

int hwa_pool_launch(FTVMParallelLambda lambda, void *cdata, int num_task)
{
    (void)lambda, (void)cdata, (void)num_task;
    wake();
    return 0;
}

void hwa_pool_rouse(void)
{
    wake();
}

int hwa_pool_threads(void)
{
    return 2;
}

int main(void)
{
    int64_t least = INT64_MAX;
    for (int look = 0; look < LOOKS; look++) {
        parked = true;
        const int64_t work_ns = hwa_sentinel_glance().work_ns;
        least = work_ns < least ? work_ns : least;
    }
    printf("%lld %d\n", (long long)least, WAKE_NS);
    return 0;
}
