/* Fixed pieces of work, timed around each measurement: if they take longer than usual, so did what was measured. */
#ifndef HWA_SENTINEL_H
#define HWA_SENTINEL_H

#include "text.h"

#include <stdint.h>

/* `work_ns`: every thread of the pool multiplies integers in registers; until the last of them is done. It reads no
 * memory, so it follows the frequency and what others take of the cores; two threads that share a core show too.
 * `meeting_ns`: an empty parallel loop, from its start until all threads are done; -1 with one thread. It follows how
 * far apart the threads' cores are: in a virtual machine the host may move them from one moment to the next. */
typedef struct {
    int64_t work_ns, meeting_ns;
} hwa_sentinel;

/* About a millisecond on a processor of 2 GHz. The pool has to be running. */
hwa_sentinel hwa_sentinel_run(void);

/* The same from a quarter of the work, once, and a few meetings. */
hwa_sentinel hwa_sentinel_glance(void);

/* The members that tell of a measurement's sentinels. */
void hwa_sentinel_json(hwa_text *line, const hwa_sentinel *before, const hwa_sentinel *after);

#endif
