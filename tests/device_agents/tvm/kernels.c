/* Kernels as TVM compiles them, written by hand: a sound one, and one of each kind of failure. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

typedef struct {
    int32_t type_index;
    uint32_t zero_padding;
    void *v_ptr;
} TVMFFIAny;

typedef struct {
    void *data;
    int32_t device_type, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message); /* libtvm_ffi's */

#define KERNEL(name)                                                                                         \
    int __tvm_ffi_##name(void *handle, const TVMFFIAny *args, int32_t n_args, TVMFFIAny *result);            \
    int __tvm_ffi_##name(void *handle, const TVMFFIAny *args, int32_t n_args, TVMFFIAny *result)
#define UNUSED (void)handle, (void)args, (void)n_args, (void)result

/* x, w, y of one shape (n, 2): y = x * w; refuses whatever a compiled kernel would refuse. */
KERNEL(scale)
{
    (void)handle;
    if (n_args != 3 || result->type_index != 0) {
        TVMFFIErrorSetRaisedFromCStr("TypeError", "called in another way than TVM's kernels are");
        return -1;
    }
    const float *inputs[2] = {0};
    for (int i = 0; i < 3; i++) {
        const DLTensor *tensor = args[i].v_ptr;
        if (args[i].type_index != 7 || tensor->device_type != 1 || tensor->ndim != 2 || tensor->code != 2 ||
            tensor->bits != 32 || tensor->lanes != 1 || tensor->shape[1] != 2 || tensor->strides[0] != 2 ||
            tensor->strides[1] != 1 || tensor->byte_offset != 0 || (uintptr_t)tensor->data % 64 != 0) {
            TVMFFIErrorSetRaisedFromCStr("ValueError", "a tensor of another form");
            return -1;
        }
        for (int64_t at = 0; at < 2 * tensor->shape[0]; at++) {
            if (i == 2) {
                ((float *)tensor->data)[at] = inputs[0][at] * inputs[1][at];
            }
        }
        if (i < 2) {
            inputs[i] = tensor->data;
        }
    }
    return 0;
}

KERNEL(raise)
{
    UNUSED;
    TVMFFIErrorSetRaisedFromCStr("ValueError", "shape[1] \"mismatch\" \\ \n caf\xc3\xa9");
    return -1;
}

KERNEL(segfault)
{
    UNUSED;
    return raise(SIGSEGV);
}

KERNEL(forever)
{
    UNUSED;
    for (;;) {
        pause();
    }
}

KERNEL(leave)
{
    UNUSED;
    _exit(3);
}

KERNEL(chatty)
{
    static int said;
    UNUSED;
    if (!said) {
        said = 1;
        fputs("half a li", stdout);
        fflush(stdout);
    }
    return 0;
}
