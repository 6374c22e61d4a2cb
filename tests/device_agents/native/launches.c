/* The pool under stress: LAUNCHES CPUS COUNT. Launches follow each other at once or after gaps long enough for workers
 * to park; every task must run once, in its thread's share, before the launch returns. */
#include "clock.h"
#include "cpus.h"
#include "pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TASKS = 64, ROUNDS = 4, LONG_GAP_NS = 400000, FAILING = 5 };

typedef struct {
    int runs[MOST_TASKS]; /* no atomics: one task, one writer */
    int nested[MOST_TASKS];
    bool fail;
} record;

static int inner(int task, TVMParallelGroupEnv *env, void *cdata)
{
    (void)task, (void)env;
    ++*(int *)cdata;
    return 0;
}

static int outer(int task, TVMParallelGroupEnv *env, void *cdata)
{
    record *seen = cdata;
    seen->runs[task]++;
    (void)hwa_pool_launch(inner, &seen->nested[task], 3);
    return env->num_task < 1 || (seen->fail && task == 0) ? -1 : 0;
}

static void check(bool right, const char *what, long launch)
{
    if (!right) {
        fprintf(stderr, "launch %ld: %s\n", launch, what);
        exit(EXIT_FAILURE);
    }
}

static void launch(long number, int threads, unsigned *random)
{
    static const int counts[] = {0, 1, 2, 3, 7, MOST_TASKS};
    *random = *random * 1103515245u + 12345u;
    const unsigned draw = *random >> 8;
    const int wanted = counts[draw % (sizeof counts / sizeof counts[0])];
    const int tasks = wanted > 0 ? wanted : threads;
    record seen;
    memset(&seen, 0, sizeof seen);
    seen.fail = draw % FAILING == 0;
    if (draw % 256 == 0) {
        for (const uint64_t end = hwa_now_ns() + LONG_GAP_NS; hwa_now_ns() < end;) {
        }
    }
    const int status = hwa_pool_launch(outer, &seen, wanted);
    check(status == (seen.fail ? -1 : 0), "its status is another launch's", number);
    for (int task = 0; task < MOST_TASKS; task++) {
        check(seen.runs[task] == (task < tasks), "a task did not run once", number);
        check(seen.nested[task] == (task < tasks ? 3 : 0), "a nested task did not run once", number);
    }
}

int main(int argc, char **argv)
{
    hwa_cpus cpus;
    if (argc != 3 || !hwa_cpus_parse(argv[1], &cpus)) {
        return EXIT_FAILURE;
    }
    const long count = strtol(argv[2], NULL, 10);
    unsigned random = 1;
    for (int round = 0; round < ROUNDS; round++) {
        check(hwa_pool_start(&cpus), "the pool does not start", 0);
        for (long number = 0; number < count; number++) {
            launch(number, cpus.count, &random);
        }
        hwa_pool_stop();
    }
    return EXIT_SUCCESS;
}
