#include "sampling.h"

#include "clock.h"

#include <stddef.h>

/* The warm-up of AndroidX Benchmark (WarmupManager.kt): a fast and a slow moving average of the time agree within 4 %
 * after at least 30 calls. Its time bounds (0.25 s and 8 s) are for apps; here they follow the time to be measured: on a
 * machine with neighbours the averages may never agree, and warming up must not take most of a short run's time. */
static const double fast_weight = 0.1, slow_weight = 0.005, agreement = 0.04;
enum { MIN_WARM_CALLS = 30, STEADY_CALLS = 10, PATIENCE = 2 };
#define LEAST_WARM_NS 250000000u
#define MOST_WARM_NS 8000000000u

static const int32_t most_inner = 1000000;

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

int hwa_time_once(const hwa_timed *timed, uint64_t *ns)
{
    if (timed->prepare != NULL) {
        timed->prepare(timed->context);
    }
    const uint64_t start = hwa_now_ns();
    const int status = timed->call(timed->context);
    *ns = hwa_now_ns() - start;
    return status;
}

/* Ends with the fast average in *typical_ns. */
static int warm_up(const hwa_timed *timed, const hwa_effort *effort, double *typical_ns, bool *converged)
{
    const uint64_t least = smaller(effort->min_time_ns, LEAST_WARM_NS);
    const uint64_t most = smaller(effort->min_time_ns * PATIENCE, MOST_WARM_NS);
    const uint64_t start = hwa_now_ns();
    double fast = 0, slow = 0;
    int steady = 0;
    *converged = false;
    for (int32_t calls = 1;; calls++) {
        uint64_t ns = 0;
        const int status = hwa_time_once(timed, &ns);
        if (status != 0) {
            return status;
        }
        fast = calls == 1 ? (double)ns : fast + fast_weight * ((double)ns - fast);
        slow = calls == 1 ? (double)ns : slow + slow_weight * ((double)ns - slow);
        const double gap = fast > slow ? fast - slow : slow - fast;
        steady = gap <= agreement * slow ? steady + 1 : 0;
        const uint64_t elapsed = hwa_now_ns() - start;
        *typical_ns = fast;
        if (calls >= MIN_WARM_CALLS && elapsed >= least && steady >= STEADY_CALLS) {
            *converged = true;
            return 0;
        }
        if (elapsed >= most) {
            return 0;
        }
    }
}

/* What two looks at the clock take by themselves: a part of every sample, and no small one of a tiny kernel's. */
static uint64_t clock_cost(void)
{
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 100; i++) {
        const uint64_t start = hwa_now_ns();
        least = smaller(least, hwa_now_ns() - start);
    }
    return least;
}

/* One sample of `inner` calls. */
static int time_sample(const hwa_timed *timed, int32_t inner, uint64_t *elapsed)
{
    if (timed->prepare != NULL) {
        timed->prepare(timed->context);
    }
    const uint64_t start = hwa_now_ns();
    for (int32_t i = 0; i < inner; i++) {
        const int status = timed->call(timed->context);
        if (status != 0) {
            return status;
        }
    }
    *elapsed = hwa_now_ns() - start;
    return 0;
}

/* How many calls last min_sample_ns: tried out, since the typical time of a short call is mostly the clock's own. */
static int choose_inner(const hwa_timed *timed, double typical_ns, uint64_t min_sample_ns, int32_t *inner)
{
    double wanted = (double)min_sample_ns / (typical_ns > 1 ? typical_ns : 1) + 1;
    *inner = 1;
    while (typical_ns < (double)min_sample_ns && *inner < most_inner) {
        uint64_t elapsed = 0;
        *inner = wanted < most_inner ? (int32_t)wanted : most_inner;
        const int status = time_sample(timed, *inner, &elapsed);
        if (status != 0 || elapsed >= min_sample_ns) {
            return status;
        }
        wanted = *inner * (1.1 * (double)min_sample_ns / (double)(elapsed > 0 ? elapsed : 1)) + 1;
    }
    return 0;
}

/* Keeps every second sample, so that those left are spread over the whole time as they were. */
static void thin_out(hwa_samples *samples)
{
    for (int32_t i = 0; 2 * i < samples->count; i++) {
        samples->tenths[i] = samples->tenths[2 * i];
    }
    samples->count = (samples->count + 1) / 2;
    samples->stride *= 2;
}

/* Whether there may be another sample: `taken` so far, in `kept_ns`. */
static bool goes_on(const hwa_effort *effort, const hwa_calm *calm, int64_t taken, uint64_t kept_ns)
{
    return (effort->thin || taken < effort->max_count) &&
           (taken < effort->min_count || (kept_ns < effort->min_time_ns && !hwa_calm_is_over(calm)));
}

typedef struct {
    const hwa_timed *timed;
    const hwa_effort *effort;
    uint64_t overhead; /* of a sample, in ns: the clock's own */
    int64_t taken;
    uint64_t kept_ns;
} sampler;

static int take_one(sampler *s, hwa_samples *samples)
{
    const uint64_t inner = (uint64_t)samples->inner;
    uint64_t elapsed = 0;
    const int status = time_sample(s->timed, samples->inner, &elapsed);
    if (status != 0) {
        return status;
    }
    /* At least 1 ns: a coarse clock may not have moved at all. */
    elapsed = elapsed > s->overhead ? elapsed - s->overhead : 1;
    if (s->taken++ % samples->stride == 0) {
        if (samples->count == s->effort->max_count) {
            thin_out(samples);
        }
        samples->tenths[samples->count++] = (elapsed * 10 + inner / 2) / inner;
    }
    return 0;
}

/* Samples until there are enough, or a block is over. */
static int take_block(sampler *s, hwa_calm *calm, hwa_watch *watch, hwa_samples *samples)
{
    const int64_t taken = s->taken;
    const int32_t count = samples->count;
    const uint64_t kept_ns = s->kept_ns;
    hwa_calm_wait(calm);
    if (!goes_on(s->effort, calm, taken, kept_ns)) {
        return 0; /* the wait was in vain, and there are enough */
    }
    const uint64_t begun = hwa_now_ns();
    do {
        hwa_watch_look(watch);
        const int status = take_one(s, samples);
        if (status != 0) {
            return status;
        }
        s->kept_ns = kept_ns + (hwa_now_ns() - begun);
    } while (goes_on(s->effort, calm, s->taken, s->kept_ns) && hwa_calm_goes_on(begun));
    if (!s->effort->thin && hwa_calm_spoilt(calm, begun)) {
        s->taken = taken;
        s->kept_ns = kept_ns;
        samples->count = count;
    }
    return 0;
}

int hwa_sample(const hwa_timed *timed, const hwa_effort *effort, hwa_calm *calm, const hwa_cpus *cpus, hwa_watch *watch,
               hwa_samples *samples)
{
    double typical_ns = 0;
    samples->count = 0;
    samples->stride = 1;
    hwa_watch_start(watch, cpus);
    int status = warm_up(timed, effort, &typical_ns, &samples->converged);
    if (status == 0) {
        status = choose_inner(timed, typical_ns, effort->min_sample_ns, &samples->inner);
    }
    const int64_t switches = hwa_involuntary_switches();
    sampler s = {.timed = timed, .effort = effort, .overhead = clock_cost()};
    hwa_watch_warm(watch);
    while (status == 0 && goes_on(effort, calm, s.taken, s.kept_ns)) {
        status = take_block(&s, calm, watch, samples);
    }
    hwa_watch_end(watch);
    samples->involuntary_switches = hwa_involuntary_switches() - switches;
    return status;
}
