#include "frequency.h"

#include "cooling.h"
#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { PATH_SIZE = 96, LONGEST_PATH = 4096, VALUE_SIZE = 64 };
enum { GOVERNOR, LEAST, MOST, N_FILES };
static const char *const leaves[N_FILES] = {"scaling_governor", "scaling_min_freq", "scaling_max_freq"};

/* An agent that was killed gives the frequency back within milliseconds; one that measures keeps it longer than this. */
enum { HELD_TRIES = 100, HELD_WAIT_MS = 50, RESTORE_TRIES = 20 };

typedef struct {
    char bytes[VALUE_SIZE]; /* with the end of line */
    size_t size;
} value;

typedef struct {
    int32_t cpu;
    dev_t device; /* of its cpufreq folder: cpus that share a clock share the folder */
    ino_t inode;
    int guard; /* a locked descriptor: one agent at a time changes this folder, and finds it as its owner left it */
    value before[N_FILES];
} policy;

struct hwa_policies {
    int32_t count;
    policy all[HWA_MAX_CPUS];
};

static void nap(void)
{
    const struct timespec time = {0, HELD_WAIT_MS * 1000000L};
    nanosleep(&time, NULL);
}

static int open_file(int32_t cpu, const char *leaf, int flags)
{
    char path[PATH_SIZE], located[LONGEST_PATH];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/%s", (int)cpu, leaf);
    return open(hwa_locate(path, located, sizeof located), flags | O_CLOEXEC);
}

static bool read_value(int32_t cpu, const char *leaf, value *out)
{
    const int fd = open_file(cpu, leaf, O_RDONLY);
    const ssize_t got = fd < 0 ? -1 : read(fd, out->bytes, sizeof out->bytes - 1);
    if (fd >= 0) {
        close(fd);
    }
    out->size = got > 0 ? (size_t)got : 0;
    out->bytes[out->size] = '\0';
    return got > 0;
}

static bool write_value(int32_t cpu, const char *leaf, const value *wanted)
{
    const int fd = open_file(cpu, leaf, O_WRONLY | O_TRUNC);
    if (fd < 0) {
        return false;
    }
    const ssize_t written = write(fd, wanted->bytes, wanted->size);
    const int error = errno;
    close(fd);
    errno = error;
    return written == (ssize_t)wanted->size;
}

static bool same(const value *a, const value *b)
{
    return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

static int64_t number(int32_t cpu, const char *leaf)
{
    char name[PATH_SIZE];
    snprintf(name, sizeof name, "cpufreq/%s", leaf);
    return hwa_cpu_int(cpu, name);
}

static value khz_value(int64_t khz)
{
    value out;
    out.size = (size_t)snprintf(out.bytes, sizeof out.bytes, "%lld\n", (long long)khz);
    return out;
}

/* The kernel refuses a minimum above the maximum, also for a moment: the limit that moves away goes first. */
static bool write_limits(int32_t cpu, const value *least, const value *most)
{
    const bool up = strtoll(most->bytes, NULL, 10) >= number(cpu, leaves[MOST]);
    return up ? write_value(cpu, leaves[MOST], most) && write_value(cpu, leaves[LEAST], least)
              : write_value(cpu, leaves[LEAST], least) && write_value(cpu, leaves[MOST], most);
}

static bool restored(const policy *one)
{
    for (int file = 0; file < N_FILES; file++) {
        value now;
        if (!read_value(one->cpu, leaves[file], &now) || !same(&now, &one->before[file])) {
            return false;
        }
    }
    return true;
}

static void restore(const policy *one)
{
    for (int tries = 0; tries < RESTORE_TRIES && !restored(one); tries++) {
        if (tries > 0) {
            nap();
        }
        write_limits(one->cpu, &one->before[LEAST], &one->before[MOST]);
        write_value(one->cpu, leaves[GOVERNOR], &one->before[GOVERNOR]);
    }
}

void hwa_frequency_restore(hwa_policies *policies)
{
    for (int32_t i = 0; policies != NULL && i < policies->count; i++) {
        restore(&policies->all[i]);
        close(policies->all[i].guard);
    }
    free(policies);
}

static bool fail(char *reason, size_t size, const char *what, int32_t cpu, const char *why)
{
    snprintf(reason, size, "%s of cpu %d %s", what, (int)cpu, why);
    return false;
}

static bool guarded(int guard)
{
    for (int tries = 0; flock(guard, LOCK_EX | LOCK_NB) != 0; tries++) {
        if (tries == HELD_TRIES) {
            return false;
        }
        nap();
    }
    return true;
}

/* Whether what was noted is the user's, and writing it again brings it back. */
static bool given_back(const policy *one, char *reason, size_t size)
{
    if (strcmp(one->before[GOVERNOR].bytes, "userspace\n") == 0) {
        return fail(reason, size, "the frequency", one->cpu, "is set by hand already: its governor is userspace");
    }
    /* The kernel shows the limit that heat sets for now in the place of the user's. */
    if (!hwa_is_cool() && strtoll(one->before[MOST].bytes, NULL, 10) < number(one->cpu, "cpuinfo_max_freq")) {
        return fail(reason, size, "the frequency", one->cpu, "cannot be set while heat limits it");
    }
    return true;
}

/* Takes note of how a cpu's folder is, unless it is one already noted. */
static bool note(hwa_policies *policies, int32_t cpu, char *reason, size_t size)
{
    struct stat folder;
    if (policies->count == HWA_MAX_CPUS) {
        return fail(reason, size, "the clock", cpu, "is one of too many");
    }
    policy *one = &policies->all[policies->count];
    *one = (policy){.cpu = cpu, .guard = open_file(cpu, leaves[GOVERNOR], O_RDONLY)};
    const int at = open_file(cpu, "", O_RDONLY | O_DIRECTORY);
    const bool known = at >= 0 && fstat(at, &folder) == 0;
    if (at >= 0) {
        close(at);
    }
    bool ok = (known && one->guard >= 0) || fail(reason, size, "the frequency", cpu, "cannot be set: the kernel has no cpufreq for it");
    one->device = ok ? folder.st_dev : 0;
    one->inode = ok ? folder.st_ino : 0;
    for (int32_t i = 0; ok && i < policies->count; i++) {
        if (policies->all[i].device == one->device && policies->all[i].inode == one->inode) {
            close(one->guard);
            return true;
        }
    }
    ok = ok && (guarded(one->guard) || fail(reason, size, "the frequency", cpu, "is held by another measurement"));
    for (int file = 0; ok && file < N_FILES; file++) {
        const int writable = open_file(cpu, leaves[file], O_WRONLY);
        ok = writable >= 0 || fail(reason, size, leaves[file], cpu, strerror(errno));
        if (writable >= 0) {
            close(writable);
        }
        ok = ok && (read_value(cpu, leaves[file], &one->before[file]) || fail(reason, size, leaves[file], cpu, "is empty"));
    }
    ok = ok && given_back(one, reason, size);
    policies->count += ok;
    if (!ok && one->guard >= 0) {
        close(one->guard);
    }
    return ok;
}

/* The cpu, and those that share its clock: related_cpus is a list with blanks between. */
static bool note_cluster(hwa_policies *policies, int32_t cpu, char *reason, size_t size)
{
    value text;
    if (!note(policies, cpu, reason, size)) {
        return false;
    }
    char *at = read_value(cpu, "related_cpus", &text) ? text.bytes : NULL;
    while (at != NULL) {
        char *end = NULL;
        const long other = strtol(at, &end, 10);
        if (end == at) {
            break;
        }
        at = end;
        if (other >= 0 && other < HWA_MAX_CPUS && !note(policies, (int32_t)other, reason, size)) {
            return false;
        }
    }
    return true;
}

/* What can be kept up: base_frequency where the kernel names one, as the higher ones are for as long as heat allows. */
static int64_t sustainable(int32_t cpu)
{
    const int64_t base = number(cpu, "base_frequency");
    return base > 0 ? base : number(cpu, "cpuinfo_max_freq");
}

static bool fix(const policy *one, char *reason, size_t size)
{
    static const value performance = {"performance\n", sizeof "performance\n" - 1};
    char path[PATH_SIZE], governors[256];
    const value wanted = khz_value(sustainable(one->cpu));
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/cpufreq/scaling_available_governors", (int)one->cpu);
    if (strtoll(wanted.bytes, NULL, 10) <= 0) {
        return fail(reason, size, "the highest frequency", one->cpu, "is unknown");
    }
    /* Limits that meet fix the frequency under any governor; without this one the kernel has one hand less in it. */
    if (hwa_read_text(path, governors, sizeof governors) && strstr(governors, "performance") != NULL &&
        !write_value(one->cpu, leaves[GOVERNOR], &performance)) {
        return fail(reason, size, leaves[GOVERNOR], one->cpu, strerror(errno));
    }
    if (!write_limits(one->cpu, &wanted, &wanted)) {
        return fail(reason, size, "the frequency limits", one->cpu, strerror(errno));
    }
    const int64_t least = number(one->cpu, leaves[LEAST]);
    return (least > 0 && least == number(one->cpu, leaves[MOST])) ||
           fail(reason, size, "the frequency", one->cpu, "does not stay as it is set");
}

hwa_policies *hwa_frequency_fix(const hwa_cpus *cpus, int64_t *khz, char *reason, size_t size)
{
    hwa_policies *policies = calloc(1, sizeof *policies);
    bool ok = policies != NULL;
    *khz = -1;
    for (int32_t i = 0; ok && i < cpus->count; i++) {
        ok = note_cluster(policies, cpus->ids[i], reason, size);
    }
    for (int32_t i = 0; ok && i < policies->count; i++) {
        ok = fix(&policies->all[i], reason, size);
    }
    if (ok) {
        *khz = number(cpus->ids[0], leaves[MOST]);
    }
    return policies;
}
