/* Sampling on a machine that is calm and not as told: CALM PATIENCE_MS LOOKS, a string of `c` (calm), `w` (work takes
 * long) and `m` (threads meet far apart), the last of which holds from then on. Each call is a block.
 * Prints the agent's members, how many samples were kept and how many calls were made after the warm-up. */
#include "calm.h"
#include "clock.h"
#include "sampling.h"
#include "sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CALL_NS = 300000, MOST = 1000 };
static const char *looks;
static int64_t calls;

hwa_sentinel hwa_sentinel_glance(void)
{
    const char now = *looks;
    looks += looks[1] != '\0';
    return (hwa_sentinel){.work_ns = now == 'w' ? 200 : 100, .meeting_ns = now == 'm' ? 40 : 10};
}

void hwa_watch_start(hwa_watch *watch, const hwa_cpus *cpus)
{
    (void)watch, (void)cpus;
}

void hwa_watch_warm(hwa_watch *watch)
{
    (void)watch;
    calls = 0;
}

void hwa_watch_look(hwa_watch *watch)
{
    (void)watch;
}

void hwa_watch_end(hwa_watch *watch)
{
    (void)watch;
}

int64_t hwa_involuntary_switches(void)
{
    return 0;
}

static int call(void *context)
{
    (void)context;
    calls++;
    for (const uint64_t end = hwa_now_ns() + CALL_NS; hwa_now_ns() < end;) {
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 3 || argv[2][0] == '\0') {
        return EXIT_FAILURE;
    }
    looks = argv[2];
    const hwa_options options = {.calm_work_ns = 110, .calm_meeting_ns = 20, .patience_ms = strtoll(argv[1], NULL, 10)};
    const hwa_effort effort = {.min_time_ns = 9000000, .min_count = 20, .max_count = MOST, .min_sample_ns = 0};
    const hwa_timed timed = {.call = call};
    static uint64_t tenths[MOST];
    hwa_calm calm = hwa_calm_asked(&options);
    hwa_watch watch = {0};
    const hwa_cpus cpus = {.count = 1};
    hwa_samples samples = {.tenths = tenths};
    if (hwa_sample(&timed, &effort, &calm, &cpus, &watch, &samples) != 0) {
        return EXIT_FAILURE;
    }
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_calm_json(&line, &calm);
    hwa_text_int(&line, "kept", samples.count);
    hwa_text_int(&line, "calls", calls);
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, STDOUT_FILENO);
    hwa_text_free(&line);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
