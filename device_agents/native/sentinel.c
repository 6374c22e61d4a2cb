#include "sentinel.h"

#include "clock.h"
#include "pool.h"

enum { ROUNDS = 90000, RUNS = 3, LAUNCHES = 200, BATCHES = 5, GLANCE = 4, GLANCE_LAUNCHES = 20 };

/* Four generators that do not wait for each other keep the multiplier busy: where a core is shared by two threads, its
 * other user shows. One generator alone waits for its own results most of the time and would not notice. */
static int multiply(int task, TVMParallelGroupEnv *env, void *context)
{
    (void)task, (void)env;
    const int rounds = *(const int *)context;
    uint32_t a = 1, b = 2, c = 3, d = 4;
    for (int i = 0; i < rounds; i++) {
        a = a * 1664525u + 1013904223u;
        b = b * 1664525u + 1013904223u;
        c = c * 1664525u + 1013904223u;
        d = d * 1664525u + 1013904223u;
        __asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d)); /* nothing to foresee, vectorise or leave out */
    }
    return 0;
}

static int meet(int task, TVMParallelGroupEnv *env, void *context)
{
    (void)task, (void)env, (void)context;
    return 0;
}

/* Nanoseconds of one launch, of `launches` back to back. */
static int64_t time_launches(FTVMParallelLambda loop, int rounds, int launches)
{
    const uint64_t start = hwa_now_ns();
    for (int n = 0; n < launches; n++) {
        hwa_pool_launch(loop, &rounds, 0);
    }
    return (int64_t)(hwa_now_ns() - start) / launches;
}

/* The median of so many `turns`, at most BATCHES. */
static int64_t median_of(int turns, FTVMParallelLambda loop, int rounds, int launches)
{
    int64_t sorted[BATCHES];
    for (int n = 0; n < turns; n++) {
        const int64_t ns = time_launches(loop, rounds, launches);
        int at = n;
        for (; at > 0 && sorted[at - 1] > ns; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = ns;
    }
    return sorted[turns / 2];
}

/* Workers park while one thread works alone: waking them is none of the work. */
static hwa_sentinel run(int works, int rounds, int batches, int launches)
{
    hwa_pool_rouse();
    const int64_t work_ns = median_of(works, multiply, rounds, 1);
    const int64_t meeting_ns = hwa_pool_threads() > 1 ? median_of(batches, meet, 0, launches) : -1;
    return (hwa_sentinel){.work_ns = work_ns, .meeting_ns = meeting_ns};
}

hwa_sentinel hwa_sentinel_run(void)
{
    return run(RUNS, ROUNDS, BATCHES, LAUNCHES);
}

hwa_sentinel hwa_sentinel_glance(void)
{
    hwa_sentinel seen = run(1, ROUNDS / GLANCE, 1, GLANCE_LAUNCHES);
    seen.work_ns *= GLANCE;
    return seen;
}

void hwa_sentinel_json(hwa_text *line, const hwa_sentinel *before, const hwa_sentinel *after)
{
    hwa_text_int(line, "sentinel_before_ns", before->work_ns);
    hwa_text_int(line, "sentinel_after_ns", after->work_ns);
    hwa_text_known(line, "meeting_before_ns", before->meeting_ns);
    hwa_text_known(line, "meeting_after_ns", after->meeting_ns);
}
