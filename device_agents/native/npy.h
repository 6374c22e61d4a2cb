/* NumPy's .npy files: dense, little endian, C order. */
#ifndef HWA_NPY_H
#define HWA_NPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a file must hold, or will. */
typedef struct {
    int32_t ndim;
    const int64_t *shape;
    uint8_t code, bits; /* DLDataType */
    uint64_t bytes;
} hwa_npy;

/* Reads the file into `data`, `want->bytes` bytes. The file is not trusted: its header must say exactly the wanted type
 * and shape, and its length must be that of its data. False with `reason` filled. */
bool hwa_npy_read(const char *path, const hwa_npy *want, void *data, char *reason, size_t size);

/* Writes a temporary file beside `path`, then renames it: `path` is whole or untouched. False with `reason` filled. */
bool hwa_npy_write(const char *path, const hwa_npy *what, const void *data, char *reason, size_t size);

#endif
