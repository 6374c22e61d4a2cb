#include "supervise.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int number;
    const char *text;
} signal_text;

static const signal_text signals[] = {
    {SIGILL, "SIGILL (illegal instruction)"},
    {SIGSEGV, "SIGSEGV (segmentation fault)"},
    {SIGBUS, "SIGBUS (bus error)"},
    {SIGFPE, "SIGFPE (arithmetic error)"},
    {SIGABRT, "SIGABRT (aborted)"},
    {SIGTRAP, "SIGTRAP (trap)"},
    {SIGSYS, "SIGSYS (system call not allowed)"},
    {SIGKILL, "SIGKILL (killed from outside, most often because memory ran out)"},
    {SIGTERM, "SIGTERM (ended from outside)"},
    {SIGXCPU, "SIGXCPU (limit of cpu time)"},
};

bool hwa_outcome_ok(const hwa_outcome *outcome)
{
    return outcome->error == 0 && !outcome->timed_out && !outcome->gone && !outcome->too_long && outcome->signal == 0 &&
           outcome->exit_status == 0;
}

static void signal_reason(int number, char *out, size_t size)
{
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (signals[i].number == number) {
            snprintf(out, size, "signal %s", signals[i].text);
            return;
        }
    }
    snprintf(out, size, "signal %d", number);
}

void hwa_outcome_reason(const hwa_outcome *outcome, char *out, size_t size)
{
    if (outcome->error != 0) {
        snprintf(out, size, "no child process could be started: %s", strerror(outcome->error));
    } else if (outcome->timed_out) {
        snprintf(out, size, "timed out after %" PRId64 " ms", outcome->timeout_ms);
    } else if (outcome->too_long) {
        snprintf(out, size, "out of memory");
    } else if (outcome->signal != 0) {
        signal_reason(outcome->signal, out, size);
    } else {
        snprintf(out, size, "exit %d", outcome->exit_status);
    }
}
