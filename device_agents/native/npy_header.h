#ifndef HWA_NPY_HEADER_H
#define HWA_NPY_HEADER_H

#include "npy.h"

enum { HWA_NPY_MAX_DIMS = 32 };

typedef struct {
    char descr[16];
    bool fortran_order;
    int32_t ndim;
    int64_t shape[HWA_NPY_MAX_DIMS];
} hwa_npy_header;

/* The dictionary of the header, `size` bytes that need not end in NUL. False when it isn't one. */
bool hwa_npy_parse(const char *text, size_t size, hwa_npy_header *out);

/* NumPy's name of a type, such as "<f4"; NULL for types that .npy files of this agent don't carry. */
const char *hwa_npy_descr(uint8_t code, uint8_t bits);

#endif
