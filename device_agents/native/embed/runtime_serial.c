/* The runtime of libmodel.a: no threads, no malloc, no libc. Tasks run in turn on the caller's thread, and workspaces
 * come from memory that the app hands over once. One model runs at a time. */
#include "runtime_serial.h"

#include "../error.h"
#include "../hwa.h"
#include "../tvm_abi.h"

static unsigned char *workspace;
static size_t workspace_size;
static size_t workspace_used;

void hwa_embed_workspace(void *memory, size_t bytes)
{
    const size_t skip = (HWA_ALIGNMENT - (uintptr_t)memory % HWA_ALIGNMENT) % HWA_ALIGNMENT;
    workspace = (unsigned char *)memory + skip;
    workspace_size = bytes > skip ? bytes - skip : 0;
    workspace_used = 0;
}

static int launch(FTVMParallelLambda lambda, void *cdata, int num_task)
{
    TVMParallelGroupEnv env = {.sync_handle = NULL, .num_task = num_task > 0 ? num_task : 1};
    for (int task = 0; task < env.num_task; task++) {
        if (lambda(task, &env, cdata) != 0) {
            return -1;
        }
    }
    return 0;
}

static void *alloc_workspace(int device_type, int device_id, uint64_t bytes, int code, int bits)
{
    (void)device_type, (void)device_id, (void)code, (void)bits;
    const size_t free_bytes = workspace_size - workspace_used;
    if (bytes > free_bytes || bytes + HWA_ALIGNMENT - 1 > free_bytes) {
        hwa_error_set(hwa_error_memory, "hwa_embed_workspace was given too little memory");
        return NULL;
    }
    void *memory = workspace + workspace_used;
    workspace_used += ((size_t)bytes + HWA_ALIGNMENT - 1) / HWA_ALIGNMENT * HWA_ALIGNMENT;
    return memory;
}

/* Generated code frees in the reverse order of allocation, so freeing is stepping back. */
static int free_workspace(int device_type, int device_id, void *memory)
{
    (void)device_type, (void)device_id;
    workspace_used = (size_t)((unsigned char *)memory - workspace);
    return 0;
}

hwa_parallel_launch __TVMBackendParallelLaunch = launch;
hwa_alloc_workspace __TVMBackendAllocWorkspace = alloc_workspace;
hwa_free_workspace __TVMBackendFreeWorkspace = free_workspace;
