/* The agent's thread pool: the caller takes part, workers spin for a while and then park in the kernel. */
#ifndef HWA_POOL_H
#define HWA_POOL_H

#include "cpus.h"
#include "tvm_abi.h"

#include <stdbool.h>

enum { HWA_MAX_THREADS = 256 };

/* Pins the caller to cpus->ids[0] and starts one worker for each further cpu, pinned to it: cpus->count threads in all,
 * none pinned where the cpus are loose.
 * Call it after fork. False, with errno set, when a thread could not be started or pinned. */
bool hwa_pool_start(const hwa_cpus *cpus);

/* How many threads take part, the caller included. */
int hwa_pool_threads(void);

/* Ends the workers and waits for them. */
void hwa_pool_stop(void);

/* Runs tasks 0 to num_task-1 (num_task 0: as many as there are threads), each thread a fixed, contiguous share. From
 * inside a task it runs the new tasks in turn. 0, or -1 when a task returned nonzero. */
int hwa_pool_launch(FTVMParallelLambda lambda, void *cdata, int num_task);

/* An empty launch: workers that have parked are awake again, as they are between two operations of a model. */
void hwa_pool_rouse(void);

#endif
