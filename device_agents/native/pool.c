#include "pool.h"

#include "clock.h"
#include "workspace.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Ops of a model follow each other at once, so a worker that spins this long is there for the next one; a longer gap
 * means the measurement is over, and it should not heat the chip. */
enum { SPIN_NS = 200000, SPINS_BETWEEN_CLOCKS = 64 };

/* Kernels keep small buffers on the stack; musl would give a thread only 128 KiB. */
enum { STACK_BYTES = 2 * 1024 * 1024 };

static struct {
    /* A launch is one line, written by the caller alone: a worker that sees the generation change has the rest. */
    _Alignas(64) _Atomic uint32_t generation; /* counts launches; also the futex on which workers park */
    int num_task;
    FTVMParallelLambda lambda;
    void *cdata;
    /* What workers write while others wait for it. */
    _Alignas(64) _Atomic uint32_t pending; /* workers still at it; also the futex on which the caller parks */
    /* What hardly ever changes. */
    _Alignas(64) atomic_int sleepers;
    atomic_int caller_parked;
    atomic_bool stop;
    atomic_bool failed;
    int threads;
    hwa_cpus cpus;
    pthread_t workers[HWA_MAX_THREADS];
} pool = {.threads = 1};

static _Thread_local bool inside_task;

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 0x7fffffff, NULL, NULL, 0);
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* Waits until *word differs from `value`; parks after SPIN_NS, counted in `parked` so that nobody pays for waking the
 * wakeful. The count rises before the kernel compares the word, and the other side changes the word before it reads the
 * count, so a wake-up cannot be lost. */
static void wait_change(_Atomic uint32_t *word, uint32_t value, atomic_int *parked)
{
    const uint64_t start = hwa_now_ns();
    do {
        for (int i = 0; i < SPINS_BETWEEN_CLOCKS; i++) {
            if (atomic_load_explicit(word, memory_order_acquire) != value) {
                return;
            }
            relax();
        }
    } while (hwa_now_ns() - start < SPIN_NS);
    atomic_fetch_add(parked, 1);
    while (atomic_load(word) == value) {
        futex_wait(word, value);
    }
    atomic_fetch_sub(parked, 1);
}

static bool run_tasks(FTVMParallelLambda lambda, void *cdata, int num_task, int first, int last)
{
    TVMParallelGroupEnv env = {.sync_handle = NULL, .num_task = num_task};
    bool ok = true;
    inside_task = true;
    for (int task = first; task < last; task++) {
        ok = lambda(task, &env, cdata) == 0 && ok;
    }
    inside_task = false;
    return ok;
}

static void run_share(int thread)
{
    const int64_t n = pool.num_task;
    const int first = (int)(n * thread / pool.threads);
    const int last = (int)(n * (thread + 1) / pool.threads);
    if (!run_tasks(pool.lambda, pool.cdata, pool.num_task, first, last)) {
        atomic_store(&pool.failed, true);
    }
}

static void *work(void *argument)
{
    const int thread = (int)(intptr_t)argument;
    uint32_t seen = 0;
    for (;;) {
        wait_change(&pool.generation, seen, &pool.sleepers);
        seen++; /* the caller waits for every worker, so launches come one at a time */
        if (atomic_load(&pool.stop)) {
            break;
        }
        run_share(thread);
        if (atomic_fetch_sub(&pool.pending, 1) == 1 && atomic_load(&pool.caller_parked) != 0) {
            futex_wake_all(&pool.pending);
        }
    }
    hwa_workspace_release();
    return NULL;
}

static void announce(void)
{
    atomic_fetch_add(&pool.generation, 1);
    if (atomic_load(&pool.sleepers) != 0) {
        futex_wake_all(&pool.generation);
    }
}

int hwa_pool_launch(FTVMParallelLambda lambda, void *cdata, int num_task)
{
    const int tasks = num_task > 0 ? num_task : pool.threads;
    if (pool.threads == 1 || inside_task) {
        const bool nested = inside_task;
        const bool ok = run_tasks(lambda, cdata, tasks, 0, tasks);
        inside_task = nested;
        return ok ? 0 : -1;
    }
    /* Announcing it publishes what is written here. */
    pool.lambda = lambda;
    pool.cdata = cdata;
    pool.num_task = tasks;
    atomic_store_explicit(&pool.pending, (uint32_t)pool.threads - 1, memory_order_relaxed);
    announce();
    run_share(0);
    for (uint32_t left = atomic_load(&pool.pending); left != 0; left = atomic_load(&pool.pending)) {
        wait_change(&pool.pending, left, &pool.caller_parked);
    }
    return atomic_load(&pool.failed) && atomic_exchange(&pool.failed, false) ? -1 : 0;
}

static int nothing(int task, TVMParallelGroupEnv *env, void *cdata)
{
    (void)task, (void)env, (void)cdata;
    return 0;
}

void hwa_pool_rouse(void)
{
    hwa_pool_launch(nothing, NULL, 0);
}

static void *work_pinned(void *argument)
{
    /* A cpu that went away since the choice costs precision, not the result; hwa_pool_start checked it moments ago. */
    if (!pool.cpus.loose) {
        hwa_cpu_pin(pool.cpus.ids[(intptr_t)argument]);
    }
    return work(argument);
}

static int start_worker(int thread)
{
    pthread_attr_t attributes;
    int status = pthread_attr_init(&attributes);
    if (status != 0) {
        return status;
    }
    status = pthread_attr_setstacksize(&attributes, STACK_BYTES);
    if (status == 0) {
        status = pthread_create(&pool.workers[thread], &attributes, work_pinned, (void *)(intptr_t)thread);
    }
    pthread_attr_destroy(&attributes);
    return status;
}

bool hwa_pool_start(const hwa_cpus *cpus)
{
    if (cpus->count < 1 || cpus->count > HWA_MAX_THREADS) {
        errno = EINVAL;
        return false;
    }
    pool.cpus = *cpus;
    for (int32_t i = cpus->count - 1; !cpus->loose && i >= 0; i--) { /* ends with the caller on the first */
        if (!hwa_cpu_pin(cpus->ids[i])) {
            return false;
        }
    }
    atomic_store(&pool.generation, 0);
    atomic_store(&pool.stop, false);
    pool.threads = 1;
    const int wanted = cpus->count;
    for (int i = 1; i < wanted; i++) {
        const int status = start_worker(i);
        if (status != 0) {
            hwa_pool_stop();
            errno = status;
            return false;
        }
        pool.threads = i + 1; /* no worker reads it before the first launch */
    }
    return true;
}

int hwa_pool_threads(void)
{
    return pool.threads;
}

void hwa_pool_stop(void)
{
    atomic_store(&pool.stop, true);
    announce();
    for (int i = 1; i < pool.threads; i++) {
        pthread_join(pool.workers[i], NULL);
    }
    pool.threads = 1;
    hwa_workspace_release();
}
