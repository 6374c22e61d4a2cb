#include "model_run.h"

#include "error.h"
#include "memory.h"
#include "pool.h"
#include "result.h"
#include "sampling.h"
#include "sentinel.h"
#include "sysfs.h"
#include "workspace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void hwa_model_kernel_reason(const hwa_model_job *job, int status, char *out, size_t size)
{
    const hwa_op *op = &job->model->ops[job->bound.at];
    if (hwa_error_is_memory()) {
        snprintf(out, size, "out of memory in op %d '%.200s'", (int)job->bound.at, op->name);
    } else if (hwa_error_text()[0] != '\0') {
        snprintf(out, size, "kernel error in op %d '%.200s': %s", (int)job->bound.at, op->name, hwa_error_text());
    } else {
        snprintf(out, size, "kernel error in op %d '%.200s': it returned %d", (int)job->bound.at, op->name, status);
    }
}

static int execute(void *context)
{
    hwa_model_job *job = context;
    return hwa_model_execute(&job->bound);
}

static void restore(void *context)
{
    hwa_model_restore_inputs(context);
}

typedef struct {
    hwa_samples samples;
    hwa_watch watch;
    hwa_sentinel before, after;
    hwa_calm calm;
} measurement;

static bool write_run(const hwa_model_job *job, const measurement *m, int fd)
{
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "run");
    hwa_text_string(&line, "model", job->model->name);
    hwa_text_int(&line, "threads", job->cpus->count);
    hwa_cpus_json(&line, job->cpus);
    hwa_text_int(&line, "cold_ns", (int64_t)job->cold_ns);
    hwa_samples_json(&line, &m->samples);
    hwa_text_key(&line, "memory");
    hwa_text_raw(&line, "{");
    hwa_text_int(&line, "weights", (int64_t)job->model->weight_bytes);
    hwa_text_int(&line, "arena", (int64_t)job->model->arena_bytes);
    hwa_text_int(&line, "workspace", (int64_t)hwa_workspace_peak());
    hwa_text_known(&line, "peak_rss", job->peak);
    hwa_text_raw(&line, "}");
    hwa_sentinel_json(&line, &m->before, &m->after);
    hwa_calm_json(&line, &m->calm);
    hwa_lock_json(&line, &job->lock);
    hwa_watch_json(&line, &m->watch, job->uncooled);
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, fd);
    hwa_text_free(&line);
    return ok;
}

static bool bind(hwa_model_job *job, void **arena, void **descriptors, char *reason, size_t size)
{
    const hwa_model *model = job->model;
    const int64_t available = hwa_read_kb_field("/proc/meminfo", "MemAvailable");
    const bool fits = model->arena_bytes < SIZE_MAX / 2 && (available < 0 || model->arena_bytes <= (uint64_t)available);
    *descriptors = malloc(hwa_model_descriptor_bytes(model) + 1);
    if (!fits || *descriptors == NULL || posix_memalign(arena, HWA_ALIGNMENT, (size_t)model->arena_bytes + 1) != 0) {
        snprintf(reason, size, "out of memory: the arena takes %llu bytes", (unsigned long long)model->arena_bytes);
        return false;
    }
    if (hwa_model_bind(&job->bound, model, *arena, *descriptors) != 0) {
        snprintf(reason, size, "the model's table is damaged: %s", hwa_error_text());
        return false;
    }
    return true;
}

/* The first execution: cold, on the given inputs, and the one whose outputs and memory are reported. */
static bool run_once(hwa_model_job *job, const hwa_timed *timed, char *reason, size_t size)
{
    const int status = hwa_time_once(timed, &job->cold_ns);
    if (status != 0) {
        hwa_model_kernel_reason(job, status, reason, size);
        return false;
    }
    const int64_t anonymous = hwa_memory_anonymous();
    job->peak = job->baseline < 0 || anonymous < 0
                    ? -1
                    : anonymous - job->baseline + hwa_memory_resident(job->model->weights, job->model->weight_bytes);
    return hwa_model_write_outputs(job, reason, size);
}

static bool sample(hwa_model_job *job, const hwa_timed *timed, int fd, char *reason, size_t size)
{
    const hwa_effort effort = {.min_time_ns = (uint64_t)job->options->min_time_ms * 1000000u,
                               .min_count = (int32_t)job->options->min_count,
                               .max_count = (int32_t)job->options->max_count,
                               .thin = job->options->thin,
                               .min_sample_ns = 0};
    measurement m = {.samples.tenths = malloc((size_t)effort.max_count * sizeof *m.samples.tenths)};
    bool ok = false;
    if (m.samples.tenths == NULL) {
        snprintf(reason, size, "out of memory");
        return false;
    }
    m.calm = hwa_calm_asked(job->options);
    m.before = hwa_sentinel_run();
    const int status = hwa_sample(timed, &effort, &m.calm, job->cpus, &m.watch, &m.samples);
    m.after = hwa_sentinel_run();
    if (status != 0) {
        hwa_model_kernel_reason(job, status, reason, size);
    } else {
        ok = write_run(job, &m, fd);
        snprintf(reason, size, "out of memory");
    }
    free(m.samples.tenths);
    return ok;
}

static bool measure(hwa_model_job *job, int fd, char *reason, size_t size)
{
    const hwa_timed timed = {.call = execute, .prepare = restore, .context = job};
    if (!run_once(job, &timed, reason, size) || !sample(job, &timed, fd, reason, size)) {
        return false;
    }
    return !job->options->per_op || hwa_model_measure_ops(job, fd, reason, size);
}

static bool write_done(int fd)
{
    static const char done[] = "{\"type\":\"done\"}\n";
    return hwa_write_all(fd, done, sizeof done - 1);
}

/* On every thread, before the baseline. */
static int touch_stack(int task, TVMParallelGroupEnv *env, void *context)
{
    (void)task, (void)env, (void)context;
    hwa_memory_touch_stack();
    return 0;
}

int hwa_model_measure(hwa_model_job *job, int fd)
{
    char reason[1024];
    void *arena = NULL, *descriptors = NULL;
    bool ok = hwa_pool_start(job->cpus);
    if (!ok) {
        snprintf(reason, sizeof reason, "the threads could not be started: %s", strerror(errno));
    }
    ok = ok && hwa_model_read_inputs(job, reason, sizeof reason);
    ok = ok && hwa_pool_launch(touch_stack, NULL, 0) == 0;
    job->baseline = hwa_memory_anonymous();
    ok = ok && bind(job, &arena, &descriptors, reason, sizeof reason) && measure(job, fd, reason, sizeof reason);
    if (!ok) {
        hwa_write_error(fd, reason);
    }
    ok = ok && write_done(fd);
    hwa_pool_stop();
    hwa_model_free_inputs(job);
    free(descriptors);
    free(arena);
    return ok ? EXIT_SUCCESS : HWA_REPORTED;
}
