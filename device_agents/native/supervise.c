#include "supervise.h"

#include "clock.h"
#include "lock.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHUNK = 65536, LINE_LIMIT = 256 * 1024 * 1024 };

static const int endings[] = {SIGINT, SIGTERM, SIGHUP};
static volatile sig_atomic_t ending;
static sigset_t unblocked;

static void note_ending(int signal)
{
    ending = signal;
}

void hwa_supervise_init(void)
{
    sigset_t blocked;
    struct sigaction action = {0};
    action.sa_handler = note_ending;
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        struct sigaction before;
        sigaction(endings[i], NULL, &before);
        if (before.sa_handler != SIG_IGN) { /* as under nohup */
            sigaction(endings[i], &action, NULL);
            sigaddset(&blocked, endings[i]);
        }
    }
    signal(SIGCHLD, SIG_DFL); /* ignored, it would hide how the child ended */
    signal(SIGPIPE, SIG_IGN); /* a reader that went away is an error of write */
    sigprocmask(SIG_BLOCK, &blocked, &unblocked);
}

/* A crash must end the child at once: no handler inherited, no core dump filling a small disk. Should memory run out,
 * the kernel is to take the child and not the ssh daemon of the board. */
static void become_expendable(pid_t parent)
{
    static const int fatal[] = {SIGINT,  SIGTERM, SIGHUP, SIGPIPE, SIGSEGV,
                                SIGBUS,  SIGFPE,  SIGILL, SIGABRT, SIGTRAP};
    const struct rlimit no_core = {0, 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { /* it died before the line above */
        _exit(EXIT_FAILURE);
    }
    hwa_lock_forget();
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) {
        signal(fatal[i], SIG_DFL);
    }
    signal(SIGXFSZ, SIG_IGN); /* a full quota is an error of write, reported as such */
    sigprocmask(SIG_SETMASK, &unblocked, NULL);
    setrlimit(RLIMIT_CORE, &no_core);
    const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        hwa_write_all(fd, "1000", 4); /* best effort: not every kernel lets us */
        close(fd);
    }
    dup2(STDERR_FILENO, STDOUT_FILENO); /* nothing but the parent writes to the real one */
}

static _Noreturn void end_with(int signal_number, pid_t child)
{
    if (child > 0) {
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
    }
    hwa_lock_release();
    signal(signal_number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &unblocked, NULL);
    raise(signal_number);
    _exit(128 + signal_number);
}

/* Hands over the whole lines of `text` and keeps the rest. */
static bool deliver(hwa_text *text, hwa_on_line on_line, void *context)
{
    size_t from = 0;
    const char *end = NULL;
    while (from < text->size && (end = memchr(text->data + from, '\n', text->size - from)) != NULL) {
        const size_t size = (size_t)(end + 1 - (text->data + from));
        if (!on_line(context, text->data + from, size)) {
            return false;
        }
        from += size;
    }
    if (from > 0) {
        memmove(text->data, text->data + from, text->size - from);
        text->size -= from;
    }
    return true;
}

/* Waits until the child wrote something or closed its end. False when the time is over. */
static bool wait_readable(int fd, pid_t child, uint64_t deadline)
{
    for (;;) {
        if (ending != 0) {
            end_with(ending, child);
        }
        const uint64_t now = hwa_now_ns();
        if (now >= deadline) {
            return false;
        }
        const uint64_t left = deadline - now;
        const struct timespec timeout = {(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
        fd_set set;
        FD_ZERO(&set);
        FD_SET(fd, &set);
        if (pselect(fd + 1, &set, NULL, NULL, &timeout, &unblocked) > 0) {
            return true;
        }
    }
}

void hwa_supervise_sleep(int64_t ms)
{
    const struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000L};
    pselect(0, NULL, NULL, NULL, &time, &unblocked);
    if (ending != 0) {
        end_with(ending, -1);
    }
}

static void relay(int fd, pid_t child, hwa_on_line on_line, void *context, hwa_outcome *outcome)
{
    hwa_text text = {0};
    char chunk[CHUNK];
    const uint64_t deadline = hwa_now_ns() + (uint64_t)outcome->timeout_ms * 1000000u;
    for (;;) {
        if (!wait_readable(fd, child, deadline)) {
            outcome->timed_out = true;
            break;
        }
        const ssize_t got = read(fd, chunk, sizeof chunk);
        if (got <= 0) {
            break;
        }
        hwa_text_append(&text, chunk, (size_t)got);
        if (text.failed || text.size > LINE_LIMIT) {
            outcome->too_long = true;
            break;
        }
        if (!deliver(&text, on_line, context)) {
            outcome->gone = true;
            break;
        }
    }
    hwa_text_free(&text);
}

/* A signal to the whole group ends the child as well, and what the child leaves may be noticed before the signal is. */
static void heed(void)
{
    sigset_t blocked;
    sigprocmask(SIG_SETMASK, &unblocked, &blocked);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    if (ending != 0) {
        end_with(ending, -1);
    }
}

hwa_outcome hwa_supervise(hwa_child child, hwa_on_line on_line, void *context, int64_t timeout_ms)
{
    hwa_outcome outcome = {.timeout_ms = timeout_ms};
    int ends[2];
    if (pipe(ends) != 0) {
        outcome.error = errno;
        return outcome;
    }
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_expendable(parent);
        _exit(child(context, ends[1]));
    }
    outcome.error = pid < 0 ? errno : 0;
    close(ends[1]);
    if (pid > 0) {
        int status = 0;
        relay(ends[0], pid, on_line, context, &outcome);
        if (outcome.timed_out || outcome.gone || outcome.too_long) {
            kill(pid, SIGKILL);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        outcome.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
        outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    }
    close(ends[0]);
    heed();
    return outcome;
}
