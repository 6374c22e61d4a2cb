#include "npy.h"
#include "npy_header.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Headers of plain arrays take 118 bytes; NumPy itself refuses to parse beyond 10,000. */
enum { MAX_HEADER = 10000, MAGIC_BYTES = 8 };

typedef struct {
    const char *path;
    char *reason;
    size_t size;
} complaint;

__attribute__((format(printf, 2, 3))) static bool complain(const complaint *to, const char *format, ...)
{
    const int n = snprintf(to->reason, to->size, "%.160s: ", to->path);
    if (n > 0 && (size_t)n < to->size) {
        va_list args;
        va_start(args, format);
        vsnprintf(to->reason + n, to->size - (size_t)n, format, args);
        va_end(args);
    }
    return false;
}

static bool read_exactly(int fd, void *out, size_t size)
{
    char *at = out;
    while (size > 0) {
        const ssize_t got = read(fd, at, size);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return false;
        }
        at += got;
        size -= (size_t)got;
    }
    return true;
}

static bool read_header(int fd, hwa_npy_header *header, uint64_t *data_at, const complaint *to)
{
    unsigned char magic[MAGIC_BYTES], length[4];
    char text[MAX_HEADER];
    if (!read_exactly(fd, magic, sizeof magic) || memcmp(magic, "\x93NUMPY", 6) != 0) {
        return complain(to, "not a .npy file");
    }
    if (magic[6] != 1 && magic[6] != 2) {
        return complain(to, "version %d of the .npy format; 1 and 2 are known", magic[6]);
    }
    const size_t length_bytes = magic[6] == 1 ? 2 : 4;
    if (!read_exactly(fd, length, length_bytes)) {
        return complain(to, "the header is cut short");
    }
    uint32_t size = 0;
    for (size_t i = 0; i < length_bytes; i++) {
        size |= (uint32_t)length[i] << (8 * i);
    }
    if (size > sizeof text) {
        return complain(to, "the header claims %" PRIu32 " bytes; at most %d are read", size, (int)MAX_HEADER);
    }
    if (!read_exactly(fd, text, size)) {
        return complain(to, "the header is cut short");
    }
    if (!hwa_npy_parse(text, size, header)) {
        return complain(to, "the header is damaged");
    }
    *data_at = sizeof magic + length_bytes + size;
    return true;
}

static void print_shape(int32_t ndim, const int64_t *shape, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < ndim && used + 1 < size; i++) {
        const int n = snprintf(out + used, size - used, i > 0 ? ", %" PRId64 : "%" PRId64, shape[i]);
        used += n > 0 ? (size_t)n : 0;
    }
}

static bool matches(const hwa_npy_header *header, const hwa_npy *want, const complaint *to)
{
    const char *descr = hwa_npy_descr(want->code, want->bits);
    char wanted[96], found[96];
    if (descr == NULL) {
        return complain(to, "the model's input type (code %d, %d bits) has no .npy form", want->code, want->bits);
    }
    if (strcmp(header->descr, descr) != 0) {
        return complain(to, "type %s, but the model wants %s", header->descr, descr);
    }
    if (header->fortran_order) {
        return complain(to, "Fortran order; save it with numpy.ascontiguousarray");
    }
    if (header->ndim != want->ndim ||
        (want->ndim > 0 && memcmp(header->shape, want->shape, (size_t)want->ndim * sizeof(int64_t)) != 0)) {
        print_shape(header->ndim, header->shape, found, sizeof found);
        print_shape(want->ndim, want->shape, wanted, sizeof wanted);
        return complain(to, "shape (%s), but the model wants (%s)", found, wanted);
    }
    return true;
}

static bool read_open(int fd, const hwa_npy *want, void *data, const complaint *to)
{
    struct stat status;
    hwa_npy_header header;
    uint64_t data_at = 0;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return complain(to, "not a regular file");
    }
    if (!read_header(fd, &header, &data_at, to) || !matches(&header, want, to)) {
        return false;
    }
    const uint64_t held = (uint64_t)status.st_size - data_at;
    if (held != want->bytes) {
        return complain(to, "%" PRIu64 " bytes of data instead of %" PRIu64, held, want->bytes);
    }
    if (!read_exactly(fd, data, (size_t)want->bytes)) {
        return complain(to, "the data cannot be read");
    }
    return true;
}

bool hwa_npy_read(const char *path, const hwa_npy *want, void *data, char *reason, size_t size)
{
    const complaint to = {path, reason, size};
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* opening a FIFO must not hang */
    if (fd < 0) {
        return complain(&to, "%s", strerror(errno));
    }
    const bool ok = read_open(fd, want, data, &to);
    close(fd);
    return ok;
}
