#include "memory.h"

#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

enum { STACK_DEPTH = 256 * 1024, ENTRIES = 512, PRESENT_BIT = 63 };

int64_t hwa_memory_anonymous(void)
{
    const int64_t walked = hwa_read_kb_field("/proc/self/smaps_rollup", "Anonymous"); /* Linux 4.14 */
    return walked >= 0 ? walked : hwa_read_kb_field("/proc/self/status", "RssAnon");
}

int64_t hwa_memory_resident(const void *start, uint64_t bytes)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t first = (uintptr_t)start / page;
    const uint64_t end = ((uintptr_t)start + bytes + page - 1) / page;
    const int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    uint64_t entries[ENTRIES];
    int64_t present = 0;
    uint64_t at = first;
    while (fd >= 0 && at < end) {
        const uint64_t wanted = end - at < ENTRIES ? end - at : ENTRIES;
        const ssize_t got = pread(fd, entries, (size_t)wanted * sizeof entries[0], (off_t)(at * sizeof entries[0]));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < (ssize_t)sizeof entries[0]) {
            break;
        }
        const uint64_t read = (uint64_t)got / sizeof entries[0];
        for (uint64_t i = 0; i < read; i++) {
            present += (int64_t)(entries[i] >> PRESENT_BIT & 1);
        }
        at += read;
    }
    if (fd >= 0) {
        close(fd);
    }
    return (int64_t)page * (at == end ? present : (int64_t)(end - first));
}

void hwa_memory_touch_stack(void)
{
    volatile unsigned char stack[STACK_DEPTH];
    for (size_t i = 0; i < sizeof stack; i += 1024) {
        stack[i] = 0;
    }
}
