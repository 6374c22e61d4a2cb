#include "lock.h"

#include "frequency.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int held = -1; /* our end of the pipe whose closing ends the lock; the kernel closes it if we cannot */
static pid_t keeper = -1;

/* Neither the terminal, nor whoever ends our process group, nor a reader waiting for the end of our output. */
static void stand_apart(void)
{
    static const int ignored[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGXFSZ, SIGXCPU, SIGTSTP};
    setsid();
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        signal(ignored[i], SIG_IGN);
    }
    const int nowhere = open("/dev/null", O_RDWR);
    for (int fd = 0; nowhere >= 0 && fd <= STDERR_FILENO; fd++) {
        dup2(nowhere, fd);
    }
}

static _Noreturn void keep(const hwa_cpus *cpus, int end_of_agent, int answer)
{
    hwa_lock lock = {.khz = -1};
    char nothing;
    stand_apart();
    hwa_policies *policies = hwa_frequency_fix(cpus, &lock.khz, lock.reason, sizeof lock.reason);
    if (policies == NULL) {
        snprintf(lock.reason, sizeof lock.reason, "out of memory");
    }
    lock.locked = lock.khz >= 0;
    if (!lock.locked) {
        hwa_frequency_restore(policies);
        policies = NULL;
    }
    if (write(answer, &lock, sizeof lock) == (ssize_t)sizeof lock) {
        while (lock.locked && read(end_of_agent, &nothing, 1) < 0 && errno == EINTR) {
        }
    }
    hwa_frequency_restore(policies);
    _exit(EXIT_SUCCESS);
}

static hwa_lock refused(const char *reason)
{
    hwa_lock lock = {.locked = false, .khz = -1};
    snprintf(lock.reason, sizeof lock.reason, "%s", reason);
    return lock;
}

static hwa_lock hear(int answer)
{
    hwa_lock lock;
    size_t got = 0;
    while (got < sizeof lock) {
        const ssize_t n = read(answer, (char *)&lock + got, sizeof lock - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return refused("the process that keeps the lock has died");
        }
        got += (size_t)n;
    }
    return lock;
}

hwa_lock hwa_lock_take(const hwa_cpus *cpus, bool asked)
{
    int life[2], answer[2];
    if (!asked) {
        return refused("");
    }
    if (pipe(life) != 0) {
        return refused(strerror(errno));
    }
    if (pipe(answer) != 0) {
        close(life[0]);
        close(life[1]);
        return refused(strerror(errno));
    }
    keeper = fork();
    if (keeper == 0) {
        close(life[1]);
        close(answer[0]);
        keep(cpus, life[0], answer[1]);
    }
    held = life[1];
    close(life[0]);
    close(answer[1]);
    const hwa_lock lock = keeper > 0 ? hear(answer[0]) : refused(strerror(errno));
    close(answer[0]);
    if (!lock.locked) {
        hwa_lock_release();
    }
    return lock;
}

void hwa_lock_forget(void)
{
    if (held >= 0) {
        close(held);
        held = -1;
    }
    keeper = -1;
}

void hwa_lock_release(void)
{
    const pid_t waited = keeper;
    hwa_lock_forget();
    while (waited > 0 && waitpid(waited, NULL, 0) < 0 && errno == EINTR) {
    }
}

void hwa_lock_json(hwa_text *line, const hwa_lock *lock)
{
    hwa_text_bool(line, "frequency_locked", lock->locked);
    hwa_text_known(line, "locked_khz", lock->khz);
    hwa_text_string(line, "lock_reason", lock->reason[0] != '\0' ? lock->reason : NULL);
}
