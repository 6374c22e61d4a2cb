/* A frequency lock that does not outlive the agent, however that ends. */
#ifndef HWA_LOCK_H
#define HWA_LOCK_H

#include "cpus.h"
#include "text.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    bool locked;
    int64_t khz;      /* -1: not locked */
    char reason[160]; /* why not; "" when locked, or not asked for */
} hwa_lock;

/* Starts the keeper: a process in a session of its own that sets the frequency, waits until the agent has given the lock
 * back or is gone, killed by whatever means, and writes back what it found. Not being allowed to is no error.
 * `asked` false: nothing is done. */
hwa_lock hwa_lock_take(const hwa_cpus *cpus, bool asked);

/* Gives it back and waits until everything is as before. Does nothing where there is no lock. */
void hwa_lock_release(void);

/* For a child that was forked while the lock was held: it is the parent's. */
void hwa_lock_forget(void);

/* Members frequency_locked, locked_khz, lock_reason. */
void hwa_lock_json(hwa_text *line, const hwa_lock *lock);

#endif
