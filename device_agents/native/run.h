#ifndef HWA_RUN_H
#define HWA_RUN_H

#include "options.h"

/* Runs and measures the model in a child. The exit status. */
int hwa_run(const hwa_options *options);

#endif
