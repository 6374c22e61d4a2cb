/* What TVM's objects expect of a runtime: three pointers, weak in the objects, strong in runtime.c or
 * embed/runtime_serial.c. The layout is that of tvm/runtime/c_backend_api.h. */
#ifndef HWA_TVM_ABI_H
#define HWA_TVM_ABI_H

#include <stdint.h>

typedef struct {
    void *sync_handle;
    int32_t num_task;
} TVMParallelGroupEnv;

typedef int (*FTVMParallelLambda)(int task_id, TVMParallelGroupEnv *env, void *cdata);
typedef int (*hwa_parallel_launch)(FTVMParallelLambda lambda, void *cdata, int num_task);
typedef void *(*hwa_alloc_workspace)(int device_type, int device_id, uint64_t bytes, int code, int bits);
typedef int (*hwa_free_workspace)(int device_type, int device_id, void *memory);

extern hwa_parallel_launch __TVMBackendParallelLaunch;
extern hwa_alloc_workspace __TVMBackendAllocWorkspace;
extern hwa_free_workspace __TVMBackendFreeWorkspace;

#endif
