#include "npy.h"
#include "npy_header.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096, PRELUDE = 10, HEADER_ALIGNMENT = 64 };

/* Magic, length and dictionary, padded so that the data starts on 64 bytes. */
static void build_header(hwa_text *out, const hwa_npy *what, const char *descr)
{
    char number[32];
    hwa_text_append(out, "\x93NUMPY\x01\x00..", PRELUDE);
    hwa_text_raw(out, "{'descr': '");
    hwa_text_raw(out, descr);
    hwa_text_raw(out, "', 'fortran_order': False, 'shape': (");
    for (int32_t i = 0; i < what->ndim; i++) {
        snprintf(number, sizeof number, "%" PRId64 ", ", what->shape[i]);
        hwa_text_raw(out, number);
    }
    hwa_text_raw(out, "), }");
    while (!out->failed && (out->size + 1) % HEADER_ALIGNMENT != 0) {
        hwa_text_raw(out, " ");
    }
    hwa_text_raw(out, "\n");
    if (!out->failed) {
        const size_t length = out->size - PRELUDE;
        out->data[8] = (char)(length & 0xff);
        out->data[9] = (char)(length >> 8);
    }
}

static bool write_file(const char *path, const hwa_text *header, const void *data, uint64_t bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) {
        return false;
    }
    const bool written = hwa_write_all(fd, header->data, header->size) && hwa_write_all(fd, data, (size_t)bytes);
    const int error = errno;
    const bool closed = close(fd) == 0;
    if (!written) {
        errno = error;
    }
    return written && closed;
}

bool hwa_npy_write(const char *path, const hwa_npy *what, const void *data, char *reason, size_t size)
{
    char temporary[PATH_SIZE];
    hwa_text header = {0};
    const char *descr = hwa_npy_descr(what->code, what->bits);
    if (descr == NULL) {
        snprintf(reason, size, "%.160s: the model's output type has no .npy form", path);
        return false;
    }
    const int length = snprintf(temporary, sizeof temporary, "%s.%ld.partial", path, (long)getpid());
    if (length < 0 || (size_t)length >= sizeof temporary) {
        snprintf(reason, size, "%.160s: the name is too long", path);
        return false;
    }
    build_header(&header, what, descr);
    bool ok = !header.failed && write_file(temporary, &header, data, what->bytes) && rename(temporary, path) == 0;
    if (!ok) {
        snprintf(reason, size, "%.160s: %s", path, header.failed ? "out of memory" : strerror(errno));
        unlink(temporary);
    }
    hwa_text_free(&header);
    return ok;
}
