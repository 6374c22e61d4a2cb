#include "kernels.h"

#include "error.h"
#include "tvm_abi.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNUSED (void)handle, (void)args, (void)n_args, (void)result

static DLTensor *tensor(const TVMFFIAny *args, int index)
{
    return args[index].type_index == HWA_TYPE_TENSOR ? args[index].v_ptr : NULL;
}

static float *floats(const TVMFFIAny *args, int index)
{
    return tensor(args, index)->data;
}

static int raise_error(const char *kind, const char *message)
{
    hwa_error_set(kind, message);
    return -1;
}

KERNEL(cell_scale)
{
    UNUSED;
    const int64_t n = tensor(args, 0)->shape[0];
    for (int64_t i = 0; i < n; i++) {
        floats(args, 2)[i] = floats(args, 0)[i] * floats(args, 1)[i];
    }
    return 0;
}

static int sum_rows(int task, TVMParallelGroupEnv *env, void *cdata)
{
    const TVMFFIAny *args = cdata;
    const int64_t rows = tensor(args, 0)->shape[0], columns = tensor(args, 0)->shape[1];
    for (int64_t row = rows * task / env->num_task; row < rows * (task + 1) / env->num_task; row++) {
        float sum = 0;
        for (int64_t column = 0; column < columns; column++) {
            sum += floats(args, 0)[row * columns + column];
        }
        floats(args, 1)[row] = sum;
    }
    return 0;
}

KERNEL(cell_parallel)
{
    UNUSED;
    for (int64_t i = 0; i < tensor(args, 1)->shape[0]; i++) {
        floats(args, 1)[i] = NAN;
    }
    if (__TVMBackendParallelLaunch(sum_rows, (void *)(uintptr_t)args, 0) != 0) {
        return -1;
    }
    for (int64_t i = 0; i < tensor(args, 1)->shape[0]; i++) {
        if (isnan(floats(args, 1)[i])) {
            return raise_error("RuntimeError", "a row was left out");
        }
    }
    return 0;
}

static int mark(int task, TVMParallelGroupEnv *env, void *cdata)
{
    (void)env;
    ((int *)cdata)[task]++;
    return 0;
}

static int launch_marks(int task, TVMParallelGroupEnv *env, void *cdata)
{
    (void)env;
    return __TVMBackendParallelLaunch(mark, (int *)cdata + 7 * task, 7);
}

KERNEL(cell_nested)
{
    UNUSED;
    int marks[5 * 7] = {0};
    if (__TVMBackendParallelLaunch(launch_marks, marks, 5) != 0) {
        return -1;
    }
    for (int i = 0; i < 5 * 7; i++) {
        if (marks[i] != 1) {
            return raise_error("RuntimeError", "a task ran not once");
        }
    }
    return 0;
}

KERNEL(cell_workspace)
{
    UNUSED;
    unsigned char *first = __TVMBackendAllocWorkspace(1, 0, 1000, 2, 32);
    unsigned char *second = __TVMBackendAllocWorkspace(1, 0, 3000, 2, 32);
    if ((uintptr_t)first % 64 != 0 || (uintptr_t)second % 64 != 0) {
        return raise_error("RuntimeError", "a workspace is not aligned");
    }
    first[999] = 1;
    second[2999] = 1;
    return __TVMBackendFreeWorkspace(1, 0, second) | __TVMBackendFreeWorkspace(1, 0, first);
}

KERNEL(cell_check_values)
{
    UNUSED;
    const int64_t n = tensor(args, 0)->shape[0];
    int negative = 0;
    for (int64_t i = 0; i < n; i++) {
        const float x = floats(args, 0)[i];
        if (!(x >= -1 && x < 1) || fabsf(x) < 1e-6f) {
            return raise_error("ValueError", "a value is 0 or outside [-1, 1)");
        }
        negative += x < 0;
    }
    return negative > n / 3 && negative < n * 2 / 3 ? 0 : raise_error("ValueError", "the signs are not balanced");
}

KERNEL(cell_check_indices)
{
    UNUSED;
    const int64_t *indices = tensor(args, 0)->data;
    int seen[10] = {0};
    for (int64_t i = 0; i < tensor(args, 0)->shape[0]; i++) {
        if (indices[i] < 0 || indices[i] >= 10) {
            return raise_error("IndexError", "out of range");
        }
        seen[indices[i]] = 1;
    }
    for (int i = 0; i < 10; i++) {
        if (!seen[i]) {
            return raise_error("IndexError", "an index never occurs");
        }
    }
    return 0;
}

KERNEL(cell_check_rising)
{
    UNUSED;
    const int32_t *starts = tensor(args, 0)->data;
    const int64_t n = tensor(args, 0)->shape[0];
    for (int64_t i = 1; i < n; i++) {
        const int32_t step = starts[i] - starts[i - 1];
        if (step != 27 && step != 28) { /* 37 starts and 1000: 36 ranges of 27.8 */
            return raise_error("ValueError", "the ranges are not even");
        }
    }
    return starts[0] == 0 && starts[n - 1] == 1000 ? 0 : raise_error("ValueError", "the ranges do not cover it");
}

KERNEL(cell_raise)
{
    UNUSED;
    return raise_error("ValueError", "shape[1] \"mismatch\" \\ \n\x01 caf\xc3\xa9 \xff");
}

KERNEL(cell_raise_silently)
{
    UNUSED;
    return 7;
}

KERNEL(cell_raise_late)
{
    static int calls;
    UNUSED;
    return ++calls < 20 ? 0 : raise_error("RuntimeError", "worn out");
}

static int raise_in_last(int task, TVMParallelGroupEnv *env, void *cdata)
{
    (void)cdata;
    return task == env->num_task - 1 ? raise_error("RuntimeError", "in a task") : 0;
}

KERNEL(cell_raise_in_task)
{
    UNUSED;
    return __TVMBackendParallelLaunch(raise_in_last, NULL, 0);
}

KERNEL(cell_illegal)
{
    UNUSED;
#if defined(__x86_64__)
    __asm__ volatile("ud2");
#elif defined(__aarch64__)
    __asm__ volatile(".inst 0x00000000");
#elif defined(__arm__)
    __asm__ volatile(".inst 0xe7f000f0");
#else
    raise(SIGILL);
#endif
    return 0;
}

KERNEL(cell_segfault)
{
    UNUSED;
    return raise(SIGSEGV); /* no bad access: the sanitizers would report that one themselves */
}

KERNEL(cell_divide)
{
    UNUSED;
    return raise(SIGFPE);
}

KERNEL(cell_forever)
{
    UNUSED;
    for (volatile int turn = 0;; turn = !turn) {
    }
}

KERNEL(cell_exit)
{
    UNUSED;
    _exit(3);
}

KERNEL(cell_killed)
{
    UNUSED;
    return raise(SIGKILL);
}

KERNEL(cell_greedy)
{
    UNUSED;
    void *memory = __TVMBackendAllocWorkspace(1, 0, (uint64_t)1 << 50, 2, 32);
    return memory == NULL ? -1 : __TVMBackendFreeWorkspace(1, 0, memory);
}

/* Whether the workers were woken since the last call: one of them is awake, or has gone to sleep again since.
 *
 * How long they stay awake is the scheduler's to say on a busy machine; how often they slept is not. */
static bool workers_were_roused(void)
{
    static long before;
    long slept = 0;
    bool awake = false;
    DIR *tasks = opendir("/proc/self/task");
    for (const struct dirent *entry = tasks != NULL ? readdir(tasks) : NULL; entry != NULL; entry = readdir(tasks)) {
        char path[300], line[256];
        if (entry->d_name[0] == '.' || atoi(entry->d_name) == (int)getpid()) {
            continue; /* the caller */
        }
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        while (file != NULL && fgets(line, sizeof line, file) != NULL) {
            long times;
            awake = awake || (strncmp(line, "State:", 6) == 0 && strstr(line, "(sleeping)") == NULL);
            slept += sscanf(line, "voluntary_ctxt_switches: %ld", &times) == 1 ? times : 0;
        }
        if (file != NULL) {
            fclose(file);
        }
    }
    if (tasks != NULL) {
        closedir(tasks);
    }
    const bool again = slept > before;
    before = slept;
    return awake || again;
}

KERNEL(cell_awake)
{
    static int calls, roused;
    UNUSED;
    if (getenv("HWA_TEST_AWAKE") == NULL) {
        return 0;
    }
    roused += workers_were_roused();
    return ++calls == 20 && roused < 5 ? raise_error("RuntimeError", "workers sleep") : 0;
}

KERNEL(cell_chatty)
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

static int add_rows(int task, TVMParallelGroupEnv *env, void *cdata)
{
    const TVMFFIAny *args = cdata;
    const int64_t rows = tensor(args, 0)->shape[0], columns = tensor(args, 0)->shape[1];
    for (int64_t row = rows * task / env->num_task; row < rows * (task + 1) / env->num_task; row++) {
        for (int64_t column = 0; column < columns; column++) {
            const int64_t at = row * columns + column;
            floats(args, 2)[at] = floats(args, 0)[at] + floats(args, 1)[at];
        }
    }
    return 0;
}

KERNEL(op_add)
{
    UNUSED;
    return __TVMBackendParallelLaunch(add_rows, (void *)(uintptr_t)args, 0);
}

KERNEL(op_double)
{
    UNUSED;
    if (getenv("HWA_TEST_CRASH") != NULL) {
        raise(SIGSEGV);
    }
    const int64_t n = tensor(args, 0)->shape[0] * tensor(args, 0)->shape[1];
    for (int64_t i = 0; i < n; i++) {
        floats(args, 1)[i] = 2 * floats(args, 0)[i];
    }
    return 0;
}

KERNEL(op_gather)
{
    UNUSED;
    const int64_t rows = tensor(args, 0)->shape[0], columns = tensor(args, 0)->shape[1];
    const int64_t *indices = tensor(args, 1)->data;
    for (int64_t i = 0; i < tensor(args, 1)->shape[0]; i++) {
        if (indices[i] < 0 || indices[i] >= rows) {
            return raise_error("IndexError", "row out of range");
        }
        for (int64_t column = 0; column < columns; column++) {
            floats(args, 2)[i * columns + column] = floats(args, 0)[indices[i] * columns + column];
        }
    }
    return 0;
}
