#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 128, LONGEST_PATH = 4096, STATUS_SIZE = 8192 };

static const char *root = "";

void hwa_sysfs_root(const char *directory)
{
    root = directory;
}

const char *hwa_locate(const char *path, char *out, size_t size)
{
    if (root[0] == '\0' || strncmp(path, "/sys/", 5) != 0) {
        return path;
    }
    const int length = snprintf(out, size, "%s%s", root, path);
    return length > 0 && (size_t)length < size ? out : "";
}

bool hwa_read_text(const char *path, char *out, size_t size)
{
    char located[LONGEST_PATH];
    out[0] = '\0';
    const int fd = open(hwa_locate(path, located, sizeof located), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    size_t used = 0;
    while (used + 1 < size) {
        const ssize_t got = read(fd, out + used, size - 1 - used);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
    }
    close(fd);
    while (used > 0 && strchr(" \t\r\n", out[used - 1]) != NULL) { /* strchr finds the NUL as well */
        used--;
    }
    out[used] = '\0';
    return used > 0;
}

bool hwa_read_int(const char *path, int64_t *out)
{
    char text[32];
    char *end = NULL;
    if (!hwa_read_text(path, text, sizeof text)) {
        return false;
    }
    const long long value = strtoll(text, &end, 10);
    if (*end != '\0') {
        return false;
    }
    *out = value;
    return true;
}

int64_t hwa_read_kb_field(const char *path, const char *name)
{
    char text[STATUS_SIZE];
    const size_t length = strlen(name);
    if (!hwa_read_text(path, text, sizeof text)) {
        return -1;
    }
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            return strtoll(line + length + 1, NULL, 10) * 1024;
        }
    }
    return -1;
}

int64_t hwa_cpu_int(int32_t cpu, const char *leaf)
{
    char path[PATH_SIZE];
    int64_t value = -1;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/%s", (int)cpu, leaf);
    return hwa_read_int(path, &value) ? value : -1;
}
