/* Runs an hwa_model over memory that the caller owns. No libc but memset: the agent and libmodel.a both use it. */
#ifndef HWA_MODEL_H
#define HWA_MODEL_H

#include "hwa.h"

#include <stddef.h>

typedef struct {
    DLTensor tensor;
    int64_t strides[HWA_MAX_DIMS];
} hwa_tensor;

typedef struct {
    const hwa_model *model;
    hwa_tensor *tensors;   /* one a buffer */
    TVMFFIAny *args;       /* of all the ops, one op after the other */
    int32_t *first_arg;    /* of each op, an index into args */
    int32_t at;            /* the op that runs now, or that failed */
} hwa_bound;

/* Describes dense row-major memory. -1 (see error.h) when ndim is out of range or data is not aligned to its elements:
 * slices of a buffer begin anywhere. */
int hwa_tensor_set(hwa_tensor *out, int32_t ndim, const int64_t *shape, uint8_t code, uint8_t bits, void *data);

/* Calls one kernel; its `args` are what hwa_tensor_set described. Nonzero: see error.h. */
int hwa_call(hwa_kernel kernel, const TVMFFIAny *args, int32_t n_args);

/* Bytes of descriptor memory that hwa_model_bind needs, aligned like int64_t. */
size_t hwa_model_descriptor_bytes(const hwa_model *model);

/* Binds the model to `arena` (model->arena_bytes bytes, aligned to HWA_ALIGNMENT). The table is checked: offsets in
 * their space and aligned to elements, indices in range. -1 (see error.h) when it isn't sound. */
int hwa_model_bind(hwa_bound *bound, const hwa_model *model, void *arena, void *descriptors);

/* The memory of a buffer: write inputs there before each execution (the arena is reused), read outputs after. */
void *hwa_model_data(const hwa_bound *bound, int32_t buffer);

/* All the ops in order; or one of them. Nonzero: see error.h. */
int hwa_model_execute(hwa_bound *bound);
int hwa_model_execute_op(hwa_bound *bound, int32_t op);

#endif
