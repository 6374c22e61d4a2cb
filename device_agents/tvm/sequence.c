/* A list of calls, made one after the other: between two kernels of a model there is no Python, as there is none in an
 * app. Linked into every library of kernels. The types are TVM's, declared as in native/hwa.h. */
#include <stdint.h>
#include <time.h>

typedef struct {
    int32_t type_index;
    uint32_t zero_padding;
    union {
        int64_t v_int64;
        void *v_ptr;
    };
} TVMFFIAny;

typedef int (*hwa_kernel)(void *handle, const TVMFFIAny *args, int32_t n_args, TVMFFIAny *result);

typedef struct {
    hwa_kernel kernel;
    const TVMFFIAny *args;
    int64_t n_args;
} hwa_call;

/* Marks a moment: hwa_now below, or the CUDA driver's cuEventRecord, to which the default stream is NULL. */
typedef int (*hwa_mark)(void *moment, void *stream);

int hwa_now(void *moment, void *stream);
int64_t hwa_sequence(const hwa_call *calls, int64_t n_calls, int64_t times, hwa_mark mark, void *const *moments,
                     int64_t each);

/* Nanoseconds into *moment, an int64_t. */
int hwa_now(void *moment, void *stream)
{
    struct timespec now;
    (void)stream;
    const int status = clock_gettime(CLOCK_MONOTONIC, &now);
    *(int64_t *)moment = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
    return status;
}

/* All calls `times` over. With `mark` the first moment is marked before them and the second after them; with `each` the
 * moments from the second on are marked after each call instead. -1, or the index of the call that failed; what it said
 * is with TVM's runtime. */
int64_t hwa_sequence(const hwa_call *calls, int64_t n_calls, int64_t times, hwa_mark mark, void *const *moments,
                     int64_t each)
{
    if (mark) {
        mark(moments[0], 0);
    }
    for (int64_t n = 0; n < times; n++) {
        for (int64_t i = 0; i < n_calls; i++) {
            TVMFFIAny result = {.type_index = 0, .zero_padding = 0, {.v_int64 = 0}};
            if (calls[i].kernel(0, calls[i].args, (int32_t)calls[i].n_args, &result) != 0) {
                return i;
            }
            if (mark && each) {
                mark(moments[i + 1], 0);
            }
        }
    }
    if (mark && !each) {
        mark(moments[1], 0);
    }
    return -1;
}
