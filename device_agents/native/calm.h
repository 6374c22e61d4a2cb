/* Blocks of samples between two sentinels: where something else had the machine, the block is taken again.
 *
 * On a busy virtual machine two cores were calm for a twentieth of the time, for 0.2 ms at a time (median), so blocks
 * are short, and samples in calm moments rare. */
#ifndef HWA_CALM_H
#define HWA_CALM_H

#include "options.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t work_ns, meeting_ns; /* how long the sentinels take at most while all is calm; work_ns 0: whatever comes is kept */
    int64_t patience_ns;         /* left, for waiting and for blocks in vain; once it is over everything is kept */
    int64_t spoilt;              /* blocks that were taken again */
    bool calm;                   /* by the last look */
    bool gave_up;                /* a block was kept after patience was over */
} hwa_calm;

/* What the command line asks for. */
hwa_calm hwa_calm_asked(const hwa_options *options);

/* Whether patience is over: then no more samples should be asked for than are needed. */
bool hwa_calm_is_over(const hwa_calm *calm);

/* Before a block: returns when all is calm, or patience is over. */
void hwa_calm_wait(hwa_calm *calm);

/* Whether the block that has begun at that moment may go on. A look takes about a tenth of its time. */
bool hwa_calm_goes_on(uint64_t begun_ns);

/* After a block: whether it has to be taken again. */
bool hwa_calm_spoilt(hwa_calm *calm, uint64_t begun_ns);

/* `calm`: true, false if patience did not last, null if it was not asked for; `spoilt_blocks`. */
void hwa_calm_json(hwa_text *line, const hwa_calm *calm);

#endif
