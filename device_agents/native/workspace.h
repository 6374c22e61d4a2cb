/* Temporary memory of kernels: freed blocks stay with their thread, so a warm kernel never meets malloc. */
#ifndef HWA_WORKSPACE_H
#define HWA_WORKSPACE_H

#include <stdint.h>

/* Most bytes that were in use at one time, over all threads. */
uint64_t hwa_workspace_peak(void);

/* Gives the calling thread's freed blocks back. */
void hwa_workspace_release(void);

#endif
