#include "error.h"
#include "hwa.h"
#include "pool.h"
#include "tvm_abi.h"
#include "workspace.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

typedef struct block {
    struct block *next;
    size_t bytes;
} block;

/* The data follows its header at the alignment that kernels assume. */
_Static_assert(sizeof(block) <= HWA_ALIGNMENT, "the header fits in front of the data");

static _Thread_local block *freed;
static _Atomic size_t in_use;
static _Atomic size_t peak;

static void count(size_t bytes)
{
    const size_t now = atomic_fetch_add(&in_use, bytes) + bytes;
    size_t seen = atomic_load(&peak);
    while (now > seen && !atomic_compare_exchange_weak(&peak, &seen, now)) {
    }
}

static block *take_freed(size_t bytes)
{
    for (block **link = &freed; *link != NULL; link = &(*link)->next) {
        block *found = *link;
        if (found->bytes == bytes) {
            *link = found->next;
            return found;
        }
    }
    return NULL;
}

static void *alloc_workspace(int device_type, int device_id, uint64_t bytes, int code, int bits)
{
    (void)device_type, (void)device_id, (void)code, (void)bits;
    void *memory = NULL;
    if (bytes > SIZE_MAX / 2) {
        hwa_error_set(hwa_error_memory, "a workspace is larger than the address space");
        return NULL;
    }
    block *header = take_freed((size_t)bytes);
    if (header == NULL) {
        if (posix_memalign(&memory, HWA_ALIGNMENT, HWA_ALIGNMENT + (size_t)bytes) != 0) {
            hwa_error_set(hwa_error_memory, "no memory for a workspace");
            return NULL;
        }
        header = memory;
        header->bytes = (size_t)bytes;
    }
    count(header->bytes);
    return (char *)header + HWA_ALIGNMENT;
}

static int free_workspace(int device_type, int device_id, void *memory)
{
    (void)device_type, (void)device_id;
    if (memory != NULL) {
        block *header = (block *)(void *)((char *)memory - HWA_ALIGNMENT);
        atomic_fetch_sub(&in_use, header->bytes);
        header->next = freed;
        freed = header;
    }
    return 0;
}

uint64_t hwa_workspace_peak(void)
{
    return atomic_load(&peak);
}

void hwa_workspace_release(void)
{
    while (freed != NULL) {
        block *next = freed->next;
        free(freed);
        freed = next;
    }
}

hwa_parallel_launch __TVMBackendParallelLaunch = hwa_pool_launch;
hwa_alloc_workspace __TVMBackendAllocWorkspace = alloc_workspace;
hwa_free_workspace __TVMBackendFreeWorkspace = free_workspace;

#if defined(__arm__)
/* Cortex-A8 and A9 cannot divide. LLVM calls these by names that not every compiler's own library has. */
int __divsi3(int a, int b);
int __modsi3(int a, int b);

__attribute__((weak)) int __divsi3(int a, int b)
{
    return a / b;
}

__attribute__((weak)) int __modsi3(int a, int b)
{
    return a % b;
}
#endif
