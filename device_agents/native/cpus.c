#include "cpus.h"

#include "sysfs.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Raw system calls: cpu_set_t is fixed at 1024 cpus and not the same in every libc. The kernel wants a mask at least as
 * long as its own. */
enum { MASK_BITS = 8192, WORD_BITS = sizeof(unsigned long) * CHAR_BIT };
enum { MASK_WORDS = MASK_BITS / WORD_BITS };

/* Cpus within this share of a cluster's first cpu belong to it: favoured cores clock a little higher than the rest. */
enum { SAME_CLUSTER_PERCENT = 90 };

bool hwa_cpus_parse(const char *list, hwa_cpus *out)
{
    bool seen[MASK_BITS] = {false};
    out->count = 0;
    out->loose = false;
    const char *at = list;
    do {
        char *end = NULL;
        if (*at < '0' || *at > '9') {
            return false;
        }
        const long first = strtol(at, &end, 10);
        long last = first;
        if (*end == '-') {
            at = end + 1;
            if (*at < '0' || *at > '9') {
                return false;
            }
            last = strtol(at, &end, 10);
        }
        if (first > last || last >= MASK_BITS || last - first >= HWA_MAX_CPUS - out->count) {
            return false;
        }
        for (long cpu = first; cpu <= last; cpu++) {
            if (seen[cpu]) {
                return false;
            }
            seen[cpu] = true;
            out->ids[out->count++] = (int32_t)cpu;
        }
        at = end;
    } while (*at++ == ',');
    return at[-1] == '\0';
}

bool hwa_cpus_allowed(hwa_cpus *out)
{
    unsigned long mask[MASK_WORDS] = {0};
    out->count = 0;
    out->loose = false;
    if (syscall(SYS_sched_getaffinity, 0, sizeof mask, mask) < 0) {
        return false;
    }
    for (int32_t cpu = 0; cpu < MASK_BITS && out->count < HWA_MAX_CPUS; cpu++) {
        if ((mask[cpu / WORD_BITS] >> (cpu % WORD_BITS) & 1u) != 0) {
            out->ids[out->count++] = cpu;
        }
    }
    return out->count > 0;
}

bool hwa_cpu_pin(int32_t cpu)
{
    unsigned long mask[MASK_WORDS] = {0};
    mask[cpu / WORD_BITS] = 1ul << (cpu % WORD_BITS);
    return syscall(SYS_sched_setaffinity, 0, sizeof mask, mask) == 0;
}

static bool contains(const hwa_cpus *cpus, int32_t cpu)
{
    for (int32_t i = 0; i < cpus->count; i++) {
        if (cpus->ids[i] == cpu) {
            return true;
        }
    }
    return false;
}

typedef struct {
    int32_t id;
    int64_t speed;
} ranked_cpu;

static int by_speed_then_id(const void *left, const void *right)
{
    const ranked_cpu *a = left, *b = right;
    if (a->speed != b->speed) {
        return a->speed > b->speed ? -1 : 1;
    }
    return (a->id > b->id) - (a->id < b->id);
}

static int by_id(const void *left, const void *right)
{
    const int32_t a = *(const int32_t *)left, b = *(const int32_t *)right;
    return (a > b) - (a < b);
}

/* Capacity is the kernel's own measure of a cpu; where it has none, the highest frequency tells clusters apart; where
 * there is neither, as in many virtual machines, all cpus are alike. */
static int64_t speed_of(int32_t cpu)
{
    const int64_t capacity = hwa_cpu_int(cpu, "cpu_capacity");
    const int64_t speed = capacity >= 0 ? capacity : hwa_cpu_int(cpu, "cpufreq/cpuinfo_max_freq");
    return speed >= 0 ? speed : 0;
}

static bool choose_cluster(const hwa_cpus *allowed, int32_t threads, hwa_cpus *out)
{
    ranked_cpu ranked[HWA_MAX_CPUS];
    for (int32_t i = 0; i < allowed->count; i++) {
        ranked[i] = (ranked_cpu){allowed->ids[i], speed_of(allowed->ids[i])};
    }
    qsort(ranked, (size_t)allowed->count, sizeof ranked[0], by_speed_then_id);
    int32_t next = 0;
    while (next < allowed->count) {
        const int64_t fastest = ranked[next].speed;
        out->count = 0;
        while (next < allowed->count && ranked[next].speed * 100 >= fastest * SAME_CLUSTER_PERCENT) {
            out->ids[out->count++] = ranked[next++].id;
        }
        if (out->count >= threads) {
            qsort(out->ids, (size_t)out->count, sizeof out->ids[0], by_id);
            out->count = threads;
            return true;
        }
    }
    return false;
}

bool hwa_cpus_choose(const char *list, int32_t threads, bool loose, hwa_cpus *out, char *reason, size_t size)
{
    hwa_cpus allowed;
    if (!hwa_cpus_allowed(&allowed)) {
        snprintf(reason, size, "the kernel does not say which cpus this process may use");
        return false;
    }
    if (threads > allowed.count) {
        snprintf(reason, size, "%d threads asked, but this process may use %d cpus", (int)threads, (int)allowed.count);
        return false;
    }
    out->loose = loose;
    if (list == NULL) {
        if (choose_cluster(&allowed, threads, out)) {
            return true;
        }
        if (loose) {
            *out = allowed;
            out->loose = true;
            out->count = threads;
            return true;
        }
        snprintf(reason, size, "no cluster of like cpus has %d of them; name the cpus with --cpu LIST", (int)threads);
        return false;
    }
    if (!hwa_cpus_parse(list, out)) {
        snprintf(reason, size, "--cpu %.100s is not a list of cpus such as 0-3,6", list);
        return false;
    }
    if (out->count < threads) {
        snprintf(reason, size, "%d threads asked, but --cpu names %d cpus", (int)threads, (int)out->count);
        return false;
    }
    out->count = threads;
    for (int32_t i = 0; i < threads; i++) {
        if (!contains(&allowed, out->ids[i])) {
            snprintf(reason, size, "this process may not use cpu %d of --cpu %.100s", (int)out->ids[i], list);
            return false;
        }
    }
    return true;
}
