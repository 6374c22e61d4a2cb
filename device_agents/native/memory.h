/* What a model holds in memory, counted page by page. The kernel's running totals (VmRSS, VmHWM) are kept in batches a
 * processor and can be off by hundreds of KiB; walks of the page tables are exact. */
#ifndef HWA_MEMORY_H
#define HWA_MEMORY_H

#include <stdint.h>

/* Resident bytes of anonymous memory: heap, arena, stacks, written data. -1 where the kernel does not tell. */
int64_t hwa_memory_anonymous(void);

/* Resident bytes of the pages that hold `bytes` at `start`; all of these pages where the kernel does not tell. */
int64_t hwa_memory_resident(const void *start, uint64_t bytes);

/* Touches the calling thread's stack as deep as kernels go, so that it counts before a model runs and not as the model's. */
void hwa_memory_touch_stack(void);

#endif
