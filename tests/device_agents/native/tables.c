/* Tables over kernels.c. The model overwrites its own input: the plan of its arena puts `u` where `x` was. */
#include "kernels.h"

#include <stddef.h>

#define COUNT(array) ((int32_t)(sizeof(array) / sizeof((array)[0])))

static const int64_t vector[] = {1024};
static const int64_t matrix[] = {37, 64};
static const int64_t rows[] = {37};
static const int64_t huge[] = {(int64_t)1 << 38};

#define FLOATS(shape_, role_, bytes_) {COUNT(shape_), shape_, HWA_FLOAT, 32, role_, HWA_FILL_NORMAL, 0, bytes_}
static const hwa_arg scale_args[] = {
    FLOATS(vector, HWA_INPUT, 4096), FLOATS(vector, HWA_WEIGHT, 4096), FLOATS(vector, HWA_OUTPUT, 4096)};
static const hwa_arg parallel_args[] = {FLOATS(matrix, HWA_INPUT, 37 * 64 * 4), FLOATS(rows, HWA_OUTPUT, 37 * 4)};
static const hwa_arg index_args[] = {{1, vector, HWA_INT, 64, HWA_INPUT, HWA_FILL_INDEX, 10, 8192}};
static const hwa_arg rising_args[] = {{1, rows, HWA_INT, 32, HWA_WEIGHT, HWA_FILL_RISING, 1000, 148}};
static const hwa_arg huge_args[] = {FLOATS(huge, HWA_INPUT, (uint64_t)1 << 40)};

const hwa_cell hwa_cells[] = {
    {"scale", cell_scale, 3, scale_args},
    {"parallel", cell_parallel, 2, parallel_args},
    {"nested", cell_nested, 0, NULL},
    {"workspace", cell_workspace, 0, NULL},
    {"check_values", cell_check_values, 1, scale_args},
    {"check_indices", cell_check_indices, 1, index_args},
    {"check_rising", cell_check_rising, 1, rising_args},
    {"raise", cell_raise, 0, NULL},
    {"raise_silently", cell_raise_silently, 0, NULL},
    {"raise_late", cell_raise_late, 0, NULL},
    {"raise_in_task", cell_raise_in_task, 0, NULL},
    {"illegal", cell_illegal, 0, NULL},
    {"segfault", cell_segfault, 0, NULL},
    {"divide", cell_divide, 0, NULL},
    {"forever", cell_forever, 0, NULL},
    {"exit", cell_exit, 0, NULL},
    {"killed", cell_killed, 0, NULL},
    {"greedy", cell_greedy, 0, NULL},
    {"huge", cell_scale, 1, huge_args},
    {"awake", cell_awake, 0, NULL},
    {"chatty", cell_chatty, 0, NULL},
};
const int32_t hwa_n_cells = COUNT(hwa_cells);

static const int64_t x_shape[] = {4, 3};
static const int64_t i_shape[] = {5};
static const int64_t y_shape[] = {5, 3};
static const _Alignas(64) float weights[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
enum { X, W, T, U, I, Y };
static const hwa_buffer buffers[] = {
    [X] = {2, x_shape, HWA_FLOAT, 32, HWA_ARENA, 0, 48},   [W] = {2, x_shape, HWA_FLOAT, 32, HWA_WEIGHTS, 0, 48},
    [T] = {2, x_shape, HWA_FLOAT, 32, HWA_ARENA, 64, 48},  [U] = {2, x_shape, HWA_FLOAT, 32, HWA_ARENA, 0, 48},
    [I] = {1, i_shape, HWA_INT, 64, HWA_ARENA, 128, 40},   [Y] = {2, y_shape, HWA_FLOAT, 32, HWA_ARENA, 192, 60},
};
static const int32_t add_args[] = {X, W, T};
static const int32_t double_args[] = {T, U};
static const int32_t gather_args[] = {U, I, Y};
static const hwa_op ops[] = {
    {"body.add", "add 4x3", op_add, 3, add_args},
    {"body.double", "double 4x3", op_double, 2, double_args},
    {"head.gather", "gather 4x3 5", op_gather, 3, gather_args},
};
static const int32_t inputs[] = {X, I};
static const int32_t outputs[] = {Y};
static const hwa_model model = {
    .name = "tiny",
    .n_buffers = COUNT(buffers),
    .buffers = buffers,
    .n_ops = COUNT(ops),
    .ops = ops,
    .n_inputs = COUNT(inputs),
    .inputs = inputs,
    .n_outputs = COUNT(outputs),
    .outputs = outputs,
    .arena_bytes = 256,
    .weights = (const unsigned char *)weights,
    .weight_bytes = sizeof weights,
};
const hwa_model *const hwa_model_table = &model;
