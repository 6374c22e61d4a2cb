/* A fixed piece of work, timed around each measurement: if it takes longer than usual, so did what was measured. */
#ifndef HWA_SENTINEL_H
#define HWA_SENTINEL_H

#include <stdint.h>

/* Nanoseconds of the work on the calling thread: the median of a few runs, under a millisecond together on a processor
 * of 2 GHz. It reads no memory, so its time follows the frequency and what others take of the core. */
uint64_t hwa_sentinel_ns(void);

#endif
