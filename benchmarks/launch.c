/* What starting and joining an empty parallel loop costs: LAUNCH CPUS LAUNCHES GAP_NS prints one time in ns a line.
 *
 * Between launches the caller works alone for GAP_NS, as it does in an operation that stays on one thread. */
#include "clock.h"
#include "cpus.h"
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>

static int nothing(int task, TVMParallelGroupEnv *env, void *cdata)
{
    (void)task, (void)env, (void)cdata;
    return 0;
}

static void busy(uint64_t ns)
{
    for (const uint64_t end = hwa_now_ns() + ns; hwa_now_ns() < end;) {
    }
}

int main(int argc, char **argv)
{
    hwa_cpus cpus;
    if (argc != 4 || !hwa_cpus_parse(argv[1], &cpus) || !hwa_pool_start(&cpus)) {
        perror("launch");
        return EXIT_FAILURE;
    }
    const long launches = strtol(argv[2], NULL, 10);
    const uint64_t gap = strtoull(argv[3], NULL, 10);
    uint64_t *times = malloc((size_t)launches * sizeof *times);
    for (long i = 0; times != NULL && i < launches; i++) {
        busy(gap);
        const uint64_t start = hwa_now_ns();
        hwa_pool_launch(nothing, NULL, 0);
        times[i] = hwa_now_ns() - start;
    }
    hwa_pool_stop();
    for (long i = 0; times != NULL && i < launches; i++) {
        printf("%llu\n", (unsigned long long)times[i]);
    }
    free(times);
    return EXIT_SUCCESS;
}
