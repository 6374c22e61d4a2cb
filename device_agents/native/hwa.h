/* What the generated tables.c tells the agent: the cells to measure and, or, one whole model.
 *
 * The host writes tables.c, compiles the kernels with TVM, and links both with these sources. Kernels have TVM's packed
 * signature and take DLTensor pointers. The few TVM types are declared here again, with the same layout, so that
 * building an agent needs no TVM headers; tests/device_agents links real TVM objects to prove it.
 */
#ifndef HWA_H
#define HWA_H

#include <stdint.h>

enum { HWA_PROTOCOL = 1 };
enum { HWA_ALIGNMENT = 64 }; /* of every tensor's data, in bytes, but for parts of others */
enum { HWA_MAX_DIMS = 8 };
enum { HWA_MAX_ARGS = 256 }; /* of one kernel: concatenations have many */
enum { HWA_TYPE_NONE = 0, HWA_TYPE_TENSOR = 7 };               /* TVMFFIAny.type_index: None, DLTensor pointer */
enum { HWA_INT = 0, HWA_UINT = 1, HWA_FLOAT = 2, HWA_BFLOAT = 4, HWA_BOOL = 6 }; /* DLDataTypeCode */

typedef struct {
    int32_t type_index;
    uint32_t zero_padding;
    union {
        int64_t v_int64;
        double v_float64;
        void *v_ptr;
    };
} TVMFFIAny;

typedef struct {
    void *data;
    struct {
        int32_t device_type; /* 1: CPU */
        int32_t device_id;
    } device;
    int32_t ndim;
    struct {
        uint8_t code;
        uint8_t bits;
        uint16_t lanes;
    } dtype;
    int64_t *shape;
    int64_t *strides; /* in elements */
    uint64_t byte_offset;
} DLTensor;

/* 0, or nonzero after TVMFFIErrorSetRaisedFromCStrParts. The symbol in a TVM object is __tvm_ffi_NAME. */
typedef int (*hwa_kernel)(void *handle, const TVMFFIAny *args, int32_t n_args, TVMFFIAny *result);

/* A cell: one kernel, measured alone on memory of its own. */
/* Random values; integers in [0, fill_limit); or evenly rising ones from 0 to fill_limit, both there. */
enum { HWA_FILL_NORMAL, HWA_FILL_INDEX, HWA_FILL_RISING };
enum { HWA_INPUT, HWA_WEIGHT, HWA_OUTPUT, HWA_SCRATCH };

typedef struct {
    int32_t ndim;
    const int64_t *shape;
    uint8_t code, bits; /* DLDataType; lanes are 1 */
    uint8_t role;
    uint8_t fill;
    int64_t fill_limit;
    uint64_t bytes;
} hwa_arg;

typedef struct {
    const char *id;
    hwa_kernel kernel;
    int32_t n_args;
    const hwa_arg *args;
} hwa_cell;

/* A model: calls in order over one arena and one read-only block of weights, both aligned to HWA_ALIGNMENT. Offsets are
 * multiples of it, too, but for arguments whose kernel takes part of a tensor, at any element. */
enum { HWA_ARENA, HWA_WEIGHTS };

typedef struct {
    int32_t ndim;
    const int64_t *shape;
    uint8_t code, bits;
    uint8_t space; /* HWA_ARENA or HWA_WEIGHTS */
    uint64_t offset;
    uint64_t bytes;
} hwa_buffer;

typedef struct {
    const char *name; /* where in the model */
    const char *key;  /* the workload's key; a cell's id is the key, a bar and the schedule */
    hwa_kernel kernel;
    int32_t n_args;
    const int32_t *args; /* indices of buffers */
} hwa_op;

typedef struct {
    const char *name;
    int32_t n_buffers;
    const hwa_buffer *buffers;
    int32_t n_ops;
    const hwa_op *ops;
    int32_t n_inputs;
    const int32_t *inputs; /* indices of buffers, all in the arena */
    int32_t n_outputs;
    const int32_t *outputs;
    uint64_t arena_bytes;
    const unsigned char *weights;
    uint64_t weight_bytes;
} hwa_model;

/* Defined by tables.c. */
extern const hwa_cell hwa_cells[];
extern const int32_t hwa_n_cells;
extern const hwa_model *const hwa_model_table; /* NULL: no model */

#endif
