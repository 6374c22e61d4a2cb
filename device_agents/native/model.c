#include "model.h"

#include "error.h"

static int unsound(const char *message)
{
    hwa_error_set("TableError", message);
    return -1;
}

int hwa_tensor_set(hwa_tensor *out, int32_t ndim, const int64_t *shape, uint8_t code, uint8_t bits, void *data)
{
    if (ndim < 0 || ndim > HWA_MAX_DIMS) {
        return unsound("a tensor has too many dimensions");
    }
    if (bits == 0 || (uintptr_t)data % ((bits + 7u) / 8u) != 0) {
        return unsound("a tensor's data is not aligned");
    }
    int64_t stride = 1;
    for (int32_t i = ndim - 1; i >= 0; i--) {
        out->strides[i] = stride;
        if (shape[i] < 0 || __builtin_mul_overflow(stride, shape[i], &stride)) {
            return unsound("a tensor's shape overflows");
        }
    }
    DLTensor *tensor = &out->tensor;
    tensor->data = data;
    tensor->device.device_type = 1;
    tensor->device.device_id = 0;
    tensor->ndim = ndim;
    tensor->dtype.code = code;
    tensor->dtype.bits = bits;
    tensor->dtype.lanes = 1;
    tensor->shape = (int64_t *)(uintptr_t)shape; /* DLPack has no const; kernels read it only */
    tensor->strides = out->strides;
    tensor->byte_offset = 0;
    return 0;
}

int hwa_call(hwa_kernel kernel, const TVMFFIAny *args, int32_t n_args)
{
    TVMFFIAny result = {.type_index = HWA_TYPE_NONE, .zero_padding = 0, {.v_int64 = 0}};
    return kernel(NULL, args, n_args, &result);
}

static size_t count_args(const hwa_model *model)
{
    size_t total = 0;
    for (int32_t i = 0; i < model->n_ops; i++) {
        total += (size_t)model->ops[i].n_args;
    }
    return total;
}

size_t hwa_model_descriptor_bytes(const hwa_model *model)
{
    return (size_t)model->n_buffers * sizeof(hwa_tensor) + count_args(model) * sizeof(TVMFFIAny) +
           (size_t)model->n_ops * sizeof(int32_t);
}

static int bind_buffer(hwa_bound *bound, int32_t index, unsigned char *arena)
{
    const hwa_model *model = bound->model;
    const hwa_buffer *buffer = &model->buffers[index];
    const uint64_t limit = buffer->space == HWA_ARENA ? model->arena_bytes : model->weight_bytes;
    if (buffer->space > HWA_WEIGHTS || buffer->bytes > limit || buffer->offset > limit - buffer->bytes) {
        return unsound("a buffer lies outside its space");
    }
    /* Weights are read-only memory; kernels never write them, but DLPack has no const. */
    unsigned char *base = buffer->space == HWA_ARENA ? arena : (unsigned char *)(uintptr_t)model->weights;
    return hwa_tensor_set(&bound->tensors[index], buffer->ndim, buffer->shape, buffer->code, buffer->bits,
                          base + (size_t)buffer->offset);
}

static int check_indices(const hwa_model *model, const int32_t *indices, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (indices[i] < 0 || indices[i] >= model->n_buffers) {
            return unsound("an index of a buffer is out of range");
        }
    }
    return 0;
}

static int bind_op(hwa_bound *bound, int32_t index, int32_t *next_arg)
{
    const hwa_op *op = &bound->model->ops[index];
    if (op->n_args < 0 || op->n_args > HWA_MAX_ARGS) {
        return unsound("an op has too many arguments");
    }
    if (check_indices(bound->model, op->args, op->n_args) != 0) {
        return -1;
    }
    bound->first_arg[index] = *next_arg;
    for (int32_t i = 0; i < op->n_args; i++) {
        TVMFFIAny *arg = &bound->args[(*next_arg)++];
        arg->v_int64 = 0; /* on 32-bit machines the pointer fills half of it */
        arg->type_index = HWA_TYPE_TENSOR;
        arg->zero_padding = 0;
        arg->v_ptr = &bound->tensors[op->args[i]].tensor;
    }
    return 0;
}

int hwa_model_bind(hwa_bound *bound, const hwa_model *model, void *arena, void *descriptors)
{
    if ((uintptr_t)arena % HWA_ALIGNMENT != 0 || (uintptr_t)model->weights % HWA_ALIGNMENT != 0) {
        return unsound("a model's memory is not aligned");
    }
    bound->model = model;
    bound->at = 0;
    bound->tensors = descriptors;
    bound->args = (TVMFFIAny *)(void *)(bound->tensors + model->n_buffers);
    bound->first_arg = (int32_t *)(void *)(bound->args + count_args(model));
    for (int32_t i = 0; i < model->n_buffers; i++) {
        if (bind_buffer(bound, i, arena) != 0) {
            return -1;
        }
    }
    int32_t next_arg = 0;
    for (int32_t i = 0; i < model->n_ops; i++) {
        if (bind_op(bound, i, &next_arg) != 0) {
            return -1;
        }
    }
    if (check_indices(model, model->inputs, model->n_inputs) != 0) {
        return -1;
    }
    return check_indices(model, model->outputs, model->n_outputs);
}

void *hwa_model_data(const hwa_bound *bound, int32_t buffer)
{
    return bound->tensors[buffer].tensor.data;
}

int hwa_model_execute_op(hwa_bound *bound, int32_t op)
{
    bound->at = op;
    const hwa_op *called = &bound->model->ops[op];
    return hwa_call(called->kernel, bound->args + bound->first_arg[op], called->n_args);
}

int hwa_model_execute(hwa_bound *bound)
{
    for (int32_t i = 0; i < bound->model->n_ops; i++) {
        const int status = hwa_model_execute_op(bound, i);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}
