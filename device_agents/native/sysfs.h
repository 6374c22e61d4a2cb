/* Small files of /proc and /sys. */
#ifndef HWA_SYSFS_H
#define HWA_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Files below /sys are looked up as DIRECTORY/sys/... from here on; for tests, and containers that have the host's /sys
 * elsewhere. The text must stay. */
void hwa_sysfs_root(const char *directory);

/* Where `path` is looked up: itself, or written to `out`. */
const char *hwa_locate(const char *path, char *out, size_t size);

/* Up to size-1 bytes without the white space and NULs at the end. False when the file can't be read or is empty. */
bool hwa_read_text(const char *path, char *out, size_t size);

/* A decimal number. False, leaving *out alone, when there is none. */
bool hwa_read_int(const char *path, int64_t *out);

/* The number after "NAME:" in /proc/self/status or /proc/meminfo, in bytes; -1 when absent. */
int64_t hwa_read_kb_field(const char *path, const char *name);

/* "/sys/devices/system/cpu/cpuN/LEAF"; -1 when absent. */
int64_t hwa_cpu_int(int32_t cpu, const char *leaf);

#endif
