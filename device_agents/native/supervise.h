/* Runs a function in a child process, so that whatever happens to it leaves the agent whole. */
#ifndef HWA_SUPERVISE_H
#define HWA_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Runs in the child; lines written to `fd` reach the parent. The return value is the child's exit status. */
typedef int (*hwa_child)(void *context, int fd);

/* Gets each whole line with its end of line, as it arrives. False stops the child: nobody listens any more. */
typedef bool (*hwa_on_line)(void *context, const char *line, size_t size);

typedef struct {
    int exit_status; /* when the child returned */
    int signal;      /* that ended it, or 0 */
    bool timed_out;
    int64_t timeout_ms;
    bool gone;       /* on_line returned false */
    bool too_long;   /* a line for which the parent has no memory */
    int error;       /* errno of pipe, fork or memory; 0: it was started */
} hwa_outcome;

/* Call once before hwa_supervise. From here on SIGINT, SIGTERM and SIGHUP end the agent between lines, never within
 * one, take the child along and give the frequency back. */
void hwa_supervise_init(void);

/* Waits without a child; such a signal ends the agent here too. */
void hwa_supervise_sleep(int64_t ms);

hwa_outcome hwa_supervise(hwa_child child, hwa_on_line on_line, void *context, int64_t timeout_ms);

bool hwa_outcome_ok(const hwa_outcome *outcome);

/* Why it is not ok, such as "signal SIGILL (illegal instruction)". */
void hwa_outcome_reason(const hwa_outcome *outcome, char *out, size_t size);

#endif
