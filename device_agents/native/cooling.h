/* A gate before each measurement that a hot processor does not pass. */
#ifndef HWA_COOLING_H
#define HWA_COOLING_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t patience_ms; /* halved by each wait in vain: a device that does not cool down is measured as it is */
} hwa_gate;

/* Whether every zone of the processor is clear of the temperature at which it is slowed down. */
bool hwa_is_cool(void);

/* Waits until every zone of the processor is clear of the temperature at which it is slowed down. False when it still
 * was not and patience is over. Needs hwa_supervise_init. `most_ms`: the longest wait. */
bool hwa_cool_down(hwa_gate *gate, int64_t most_ms);

#endif
