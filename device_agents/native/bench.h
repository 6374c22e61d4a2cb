#ifndef HWA_BENCH_H
#define HWA_BENCH_H

#include "options.h"

/* Writes the line of the cells' ids. The exit status. */
int hwa_list_cells(void);

/* Measures the cells, each in a child, in random order. The exit status. */
int hwa_bench(const hwa_options *options);

#endif
