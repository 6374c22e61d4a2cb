/* One cell, measured in a process of its own. */
#ifndef HWA_CELL_H
#define HWA_CELL_H

#include "cpus.h"
#include "hwa.h"
#include "lock.h"
#include "options.h"

typedef struct {
    const hwa_cell *cell;
    const hwa_options *options;
    const hwa_cpus *cpus;
    uint64_t seed;
    const hwa_lock *lock;
    bool uncooled; /* the processor was still hot when the wait for it was over */
} hwa_cell_job;

/* Runs in the child: writes the cell's line, ok or failed, to fd. The exit status. */
int hwa_cell_measure(const hwa_cell_job *job, int fd);

/* Writes the failed line of a cell. */
bool hwa_cell_write_failed(const hwa_cell *cell, const char *reason, int fd);

#endif
