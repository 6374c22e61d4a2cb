/* Tables over one kernel compiled by TVM: D = exp(A B), (64, 128) by (128, 32), with a workspace for A B. The second cell
 * gives it a D of the wrong shape. */
#include "hwa.h"

#include <stddef.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

int __tvm_ffi_matmul_exp(void *handle, const TVMFFIAny *args, int32_t n_args, TVMFFIAny *result);

static const int64_t a_shape[] = {64, 128}, b_shape[] = {128, 32}, d_shape[] = {64, 32}, wrong_shape[] = {32, 64};
enum { A_BYTES = 64 * 128 * 4, B_BYTES = 128 * 32 * 4, D_BYTES = 64 * 32 * 4 };

#define FLOATS(shape_, role_, bytes_) {2, shape_, HWA_FLOAT, 32, role_, HWA_FILL_NORMAL, 0, bytes_}
static const hwa_arg right[] = {
    FLOATS(a_shape, HWA_INPUT, A_BYTES), FLOATS(b_shape, HWA_WEIGHT, B_BYTES), FLOATS(d_shape, HWA_OUTPUT, D_BYTES)};
static const hwa_arg wrong[] = {
    FLOATS(a_shape, HWA_INPUT, A_BYTES), FLOATS(b_shape, HWA_WEIGHT, B_BYTES), FLOATS(wrong_shape, HWA_OUTPUT, D_BYTES)};

const hwa_cell hwa_cells[] = {{"right", __tvm_ffi_matmul_exp, 3, right}, {"wrong", __tvm_ffi_matmul_exp, 3, wrong}};
const int32_t hwa_n_cells = COUNT(hwa_cells);

static const hwa_buffer buffers[] = {
    {2, a_shape, HWA_FLOAT, 32, HWA_ARENA, 0, A_BYTES},
    {2, b_shape, HWA_FLOAT, 32, HWA_ARENA, A_BYTES, B_BYTES},
    {2, d_shape, HWA_FLOAT, 32, HWA_ARENA, A_BYTES + B_BYTES, D_BYTES},
};
static const int32_t args[] = {0, 1, 2};
static const hwa_op ops[] = {{"matmul", "matmul 64x128x32", __tvm_ffi_matmul_exp, 3, args}};
static const int32_t inputs[] = {0, 1}, outputs[] = {2};
static const hwa_model model = {
    .name = "matmul",
    .n_buffers = COUNT(buffers),
    .buffers = buffers,
    .n_ops = COUNT(ops),
    .ops = ops,
    .n_inputs = COUNT(inputs),
    .inputs = inputs,
    .n_outputs = COUNT(outputs),
    .outputs = outputs,
    .arena_bytes = A_BYTES + B_BYTES + D_BYTES,
};
const hwa_model *const hwa_model_table = &model;
