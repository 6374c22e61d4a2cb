#include "options.h"

#include "pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const hwa_options bench_defaults = {.threads = 1,
                                           .min_time_ms = 30,
                                           .min_count = 20,
                                           .max_count = 5000,
                                           .timeout_ms = 60000,
                                           .seed = 1,
                                           .cool_ms = 10000,
                                           .patience_ms = 300,
                                           .sysfs = ""};
static const hwa_options run_defaults = {.threads = 1,
                                         .min_time_ms = 500,
                                         .min_count = 50,
                                         .max_count = 20000,
                                         .timeout_ms = 600000,
                                         .seed = 1,
                                         .cool_ms = 60000,
                                         .patience_ms = 1000,
                                         .sysfs = ""};

typedef struct {
    const char *name;
    int verbs;
    size_t offset; /* of an int64_t in hwa_options */
    int64_t least, most;
} number_option;

enum { BOTH = HWA_BENCH | HWA_RUN };
static const number_option numbers[] = {
    {"--threads", BOTH, offsetof(hwa_options, threads), 1, HWA_MAX_THREADS},
    {"--min-time-ms", BOTH, offsetof(hwa_options, min_time_ms), 0, 3600000},
    {"--min-count", BOTH, offsetof(hwa_options, min_count), 1, 1000000},
    {"--max-count", BOTH, offsetof(hwa_options, max_count), 1, 1000000},
    {"--timeout-ms", BOTH, offsetof(hwa_options, timeout_ms), 1, 86400000},
    {"--seed", BOTH, offsetof(hwa_options, seed), 0, INT64_MAX},
    {"--cool-ms", BOTH, offsetof(hwa_options, cool_ms), 0, 600000},
    {"--calm-work-ns", BOTH, offsetof(hwa_options, calm_work_ns), 1, INT64_MAX},
    {"--calm-meeting-ns", BOTH, offsetof(hwa_options, calm_meeting_ns), 1, INT64_MAX},
    {"--patience-ms", BOTH, offsetof(hwa_options, patience_ms), 0, 3600000},
    {"--displace-kb", HWA_BENCH, offsetof(hwa_options, displace_kb), 0, 4194304},
};

typedef struct {
    const char *name;
    int verbs;
    size_t offset; /* of a const char * in hwa_options */
} text_option;

static const text_option texts[] = {
    {"--cpu", BOTH, offsetof(hwa_options, cpu_list)},
    {"--only-from", HWA_BENCH, offsetof(hwa_options, only_from)},
    {"--sysfs", BOTH, offsetof(hwa_options, sysfs)},
};

typedef struct {
    const char *name;
    int verbs;
    size_t offset; /* of a bool */
} flag_option;

static const flag_option flags[] = {
    {"--per-op", HWA_RUN, offsetof(hwa_options, per_op)},
    {"--thin", HWA_RUN, offsetof(hwa_options, thin)},
    {"--lock-frequency", BOTH, offsetof(hwa_options, lock_frequency)},
    {"--no-pin", BOTH, offsetof(hwa_options, no_pin)},
};

typedef struct {
    const char *name;
    int verbs;
    size_t count, list; /* offsets of an int32_t and of an array of const char * */
} file_option;

static const file_option files[] = {
    {"--input", HWA_RUN, offsetof(hwa_options, n_inputs), offsetof(hwa_options, inputs)},
    {"--output", HWA_RUN, offsetof(hwa_options, n_outputs), offsetof(hwa_options, outputs)},
};

#define COUNT(table) (sizeof table / sizeof table[0])

static bool parse_number(const number_option *option, const char *value, hwa_options *out)
{
    char *end = NULL;
    errno = 0;
    const long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < option->least || number > option->most) {
        fprintf(stderr, "agent: %s takes a number from %" PRId64 " to %" PRId64 ", not '%s'\n", option->name,
                option->least, option->most, value);
        return false;
    }
    memcpy((char *)out + option->offset, &(int64_t){number}, sizeof(int64_t));
    return true;
}

static bool add_file(const file_option *option, const char *value, hwa_options *out)
{
    int32_t count = 0;
    memcpy(&count, (char *)out + option->count, sizeof count);
    if (count == HWA_MAX_FILES) {
        fprintf(stderr, "agent: %s given more than %d times\n", option->name, (int)HWA_MAX_FILES);
        return false;
    }
    memcpy((char *)out + option->list + (size_t)count * sizeof value, &value, sizeof value);
    count++;
    memcpy((char *)out + option->count, &count, sizeof count);
    return true;
}

/* 1: taken; 0: no such option; -1: taken, but wrong. */
static int take(int verb, const char *name, const char *value, hwa_options *out)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        if ((numbers[i].verbs & verb) != 0 && strcmp(name, numbers[i].name) == 0) {
            return parse_number(&numbers[i], value, out) ? 1 : -1;
        }
    }
    for (size_t i = 0; i < COUNT(texts); i++) {
        if ((texts[i].verbs & verb) != 0 && strcmp(name, texts[i].name) == 0) {
            memcpy((char *)out + texts[i].offset, &value, sizeof value);
            return 1;
        }
    }
    for (size_t i = 0; i < COUNT(files); i++) {
        if ((files[i].verbs & verb) != 0 && strcmp(name, files[i].name) == 0) {
            return add_file(&files[i], value, out) ? 1 : -1;
        }
    }
    return 0;
}

static bool set_flag(int verb, const char *name, hwa_options *out)
{
    for (size_t i = 0; i < COUNT(flags); i++) {
        if ((flags[i].verbs & verb) != 0 && strcmp(name, flags[i].name) == 0) {
            memcpy((char *)out + flags[i].offset, &(bool){true}, sizeof(bool));
            return true;
        }
    }
    return false;
}

bool hwa_options_parse(int verb, int argc, char **argv, hwa_options *out)
{
    *out = verb == HWA_BENCH ? bench_defaults : run_defaults;
    for (int i = 0; i < argc; i++) {
        if (set_flag(verb, argv[i], out)) {
            continue;
        }
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        const int taken = take(verb, argv[i], value, out);
        if (taken == 0) {
            fprintf(stderr, "agent: no option '%s' here\n", argv[i]);
        } else if (taken > 0 && i + 1 == argc) {
            fprintf(stderr, "agent: %s needs a value\n", argv[i]);
        }
        if (taken <= 0 || i + 1 == argc) {
            return false;
        }
        i++;
    }
    if (out->no_pin && out->cpu_list != NULL) {
        fputs("agent: --no-pin and --cpu exclude each other\n", stderr);
        return false;
    }
    if (out->thin && out->max_count < 2) {
        fputs("agent: --thin keeps every second sample, so --max-count must be 2 or more\n", stderr);
        return false;
    }
    if (out->thin && out->calm_work_ns > 0) {
        fputs("agent: --thin and --calm-work-ns exclude each other\n", stderr);
        return false;
    }
    out->min_count = out->min_count < out->max_count ? out->min_count : out->max_count;
    return true;
}
