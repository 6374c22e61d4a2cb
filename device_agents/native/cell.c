#include "cell.h"

#include "error.h"
#include "fill.h"
#include "model.h"
#include "pool.h"
#include "result.h"
#include "sampling.h"
#include "sentinel.h"
#include "state.h"
#include "sysfs.h"
#include "text.h"
#include "workspace.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A sample shorter than this would measure the clock. */
enum { MIN_SAMPLE_NS = 20000 };

static const char out_of_memory[] = "out of memory";

typedef struct {
    const hwa_cell *cell;
    hwa_tensor tensors[HWA_MAX_ARGS];
    TVMFFIAny args[HWA_MAX_ARGS];
    void *memory[HWA_MAX_ARGS];
    hwa_state state;
} bound_cell;

bool hwa_cell_write_failed(const hwa_cell *cell, const char *reason, int fd)
{
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "cell");
    hwa_text_string(&line, "id", cell->id);
    hwa_text_string(&line, "status", "failed");
    hwa_text_string(&line, "reason", reason);
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, fd);
    hwa_text_free(&line);
    return ok;
}

static int fail(const hwa_cell *cell, const char *reason, int fd)
{
    return hwa_cell_write_failed(cell, reason, fd) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int fail_kernel(const hwa_cell *cell, int status, int fd)
{
    char reason[600];
    if (hwa_error_is_memory()) {
        return fail(cell, out_of_memory, fd);
    }
    if (hwa_error_text()[0] != '\0') {
        snprintf(reason, sizeof reason, "kernel error: %s", hwa_error_text());
    } else {
        snprintf(reason, sizeof reason, "kernel error: it returned %d", status);
    }
    return fail(cell, reason, fd);
}

static uint64_t bytes_of(const hwa_cell *cell, bool only_weights)
{
    uint64_t total = 0;
    for (int32_t i = 0; i < cell->n_args; i++) {
        if (!only_weights || cell->args[i].role == HWA_WEIGHT) {
            total += cell->args[i].bytes;
        }
    }
    return total;
}

/* Linux promises memory it does not have and kills later; so ask first what there is. */
static bool fits_in_memory(const hwa_cell *cell)
{
    const int64_t available = hwa_read_kb_field("/proc/meminfo", "MemAvailable");
    return available < 0 || bytes_of(cell, false) <= (uint64_t)available;
}

static void fill(const hwa_arg *arg, void *data, hwa_random *random)
{
    if (arg->role == HWA_OUTPUT || arg->role == HWA_SCRATCH) {
        memset(data, 0, (size_t)arg->bytes);
    } else if (arg->fill == HWA_FILL_INDEX) {
        hwa_fill_indices(random, arg->bits, arg->fill_limit, data, arg->bytes);
    } else if (arg->fill == HWA_FILL_RISING) {
        hwa_fill_rising(arg->bits, arg->fill_limit, data, arg->bytes);
    } else {
        hwa_fill_values(random, arg->code, arg->bits, data, arg->bytes);
    }
}

/* NULL when bound, else the reason. */
static const char *bind(bound_cell *bound, uint64_t seed)
{
    const hwa_cell *cell = bound->cell;
    hwa_random random = hwa_random_seed(seed);
    if (cell->n_args < 0 || cell->n_args > HWA_MAX_ARGS) {
        return "the cell has too many arguments";
    }
    if (!fits_in_memory(cell)) {
        return out_of_memory;
    }
    for (int32_t i = 0; i < cell->n_args; i++) {
        const hwa_arg *arg = &cell->args[i];
        if (arg->bytes > SIZE_MAX / 2 ||
            posix_memalign(&bound->memory[i], HWA_ALIGNMENT, arg->bytes > 0 ? (size_t)arg->bytes : 1) != 0) {
            return out_of_memory;
        }
        fill(arg, bound->memory[i], &random);
        if (hwa_tensor_set(&bound->tensors[i], arg->ndim, arg->shape, arg->code, arg->bits, bound->memory[i]) != 0) {
            return hwa_error_text();
        }
        bound->args[i].type_index = HWA_TYPE_TENSOR;
        bound->args[i].v_ptr = &bound->tensors[i].tensor;
    }
    return NULL;
}

static void unbind(bound_cell *bound)
{
    for (int32_t i = 0; i < HWA_MAX_ARGS; i++) {
        free(bound->memory[i]);
    }
    hwa_state_free(&bound->state);
}

static void leave_state(void *context)
{
    hwa_state_leave(&((const bound_cell *)context)->state);
    hwa_pool_rouse();
}

static int call(void *context)
{
    const bound_cell *bound = context;
    return hwa_call(bound->cell->kernel, bound->args, bound->cell->n_args);
}

typedef struct {
    uint64_t cold_ns;
    int64_t peak;
    hwa_samples samples;
    hwa_watch watch;
    hwa_sentinel before, after;
    hwa_calm calm;
} measurement;

static bool write_ok(const hwa_cell_job *job, const measurement *m, int fd)
{
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "cell");
    hwa_text_string(&line, "id", job->cell->id);
    hwa_text_string(&line, "status", "ok");
    hwa_text_int(&line, "threads", job->cpus->count);
    hwa_cpus_json(&line, job->cpus);
    hwa_text_int(&line, "cold_ns", (int64_t)m->cold_ns);
    hwa_samples_json(&line, &m->samples);
    hwa_text_int(&line, "weight_bytes", (int64_t)bytes_of(job->cell, true));
    hwa_text_int(&line, "arg_bytes", (int64_t)bytes_of(job->cell, false));
    hwa_text_int(&line, "workspace_bytes", (int64_t)hwa_workspace_peak());
    hwa_text_known(&line, "peak_rss_delta_bytes", m->peak);
    hwa_sentinel_json(&line, &m->before, &m->after);
    hwa_calm_json(&line, &m->calm);
    hwa_lock_json(&line, job->lock);
    hwa_watch_json(&line, &m->watch, job->uncooled);
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, fd);
    hwa_text_free(&line);
    return ok;
}

/* Measures the bound cell and writes its line. `baseline`: see hwa_peak_reset. */
static int measure(const hwa_cell_job *job, bound_cell *bound, int64_t baseline, int fd)
{
    const bool displaced = job->options->displace_kb > 0;
    hwa_timed timed = {.call = call, .prepare = NULL, .context = bound};
    const hwa_effort effort = {.min_time_ns = (uint64_t)job->options->min_time_ms * 1000000u,
                               .min_count = (int32_t)job->options->min_count,
                               .max_count = (int32_t)job->options->max_count,
                               /* Only the first call after the state was made finds it. */
                               .min_sample_ns = displaced ? 0 : MIN_SAMPLE_NS};
    measurement m = {0};
    int status = hwa_time_once(&timed, &m.cold_ns);
    if (status != 0) {
        return fail_kernel(job->cell, status, fd);
    }
    m.peak = hwa_peak_above(baseline); /* before the samples' own memory joins in */
    m.samples.tenths = malloc((size_t)effort.max_count * sizeof *m.samples.tenths);
    if (m.samples.tenths == NULL ||
        !hwa_state_init(&bound->state, bound->cell, bound->memory, (size_t)job->options->displace_kb * 1024)) {
        free(m.samples.tenths);
        return fail(job->cell, out_of_memory, fd);
    }
    timed.prepare = displaced ? leave_state : NULL;
    m.calm = hwa_calm_asked(job->options);
    m.before = hwa_sentinel_run();
    status = hwa_sample(&timed, &effort, &m.calm, job->cpus, &m.watch, &m.samples);
    m.after = hwa_sentinel_run();
    int exit_status = EXIT_SUCCESS;
    if (status != 0) {
        exit_status = fail_kernel(job->cell, status, fd);
    } else if (!write_ok(job, &m, fd)) {
        exit_status = EXIT_FAILURE;
    }
    free(m.samples.tenths);
    return exit_status;
}

int hwa_cell_measure(const hwa_cell_job *job, int fd)
{
    bound_cell bound = {.cell = job->cell};
    if (!hwa_pool_start(job->cpus)) {
        char reason[128];
        snprintf(reason, sizeof reason, "the threads could not be started: %s", strerror(errno));
        return fail(job->cell, reason, fd);
    }
    const int64_t baseline = hwa_peak_reset();
    const char *reason = bind(&bound, job->seed);
    const int exit_status = reason != NULL ? fail(job->cell, reason, fd) : measure(job, &bound, baseline, fd);
    hwa_pool_stop();
    unbind(&bound);
    return exit_status;
}
