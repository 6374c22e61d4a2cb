#include "run.h"

#include "cooling.h"
#include "model_run.h"
#include "supervise.h"
#include "sysfs.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static int refuse(const char *reason)
{
    hwa_write_error(STDOUT_FILENO, reason);
    return EXIT_FAILURE;
}

static bool check_files(const hwa_model *model, const hwa_options *options, char *reason, size_t size)
{
    if (options->n_inputs != 0 && options->n_inputs != model->n_inputs) {
        snprintf(reason, size, "the model has %d inputs, --input was given %d times", (int)model->n_inputs,
                 (int)options->n_inputs);
        return false;
    }
    if (options->n_outputs != 0 && options->n_outputs != model->n_outputs) {
        snprintf(reason, size, "the model has %d outputs, --output was given %d times", (int)model->n_outputs,
                 (int)options->n_outputs);
        return false;
    }
    return true;
}

static int measure(void *context, int fd)
{
    return hwa_model_measure(context, fd);
}

static bool pass_line(void *context, const char *line, size_t size)
{
    (void)context;
    return hwa_write_all(STDOUT_FILENO, line, size);
}

/* A crash names the op it happened in. */
static int report(const hwa_outcome *outcome, const hwa_model_job *job)
{
    char why[128], reason[512];
    if (hwa_outcome_ok(outcome)) {
        return EXIT_SUCCESS;
    }
    if (outcome->exit_status != HWA_REPORTED && !outcome->gone) {
        hwa_outcome_reason(outcome, why, sizeof why);
        const int32_t at = job->bound.at;
        if (outcome->signal != 0 && job->bound.model != NULL && at >= 0 && at < job->model->n_ops) {
            snprintf(reason, sizeof reason, "%s in op %" PRId32 " '%.200s'", why, at, job->model->ops[at].name);
            return refuse(reason);
        }
        return refuse(why);
    }
    return EXIT_FAILURE;
}

int hwa_run(const hwa_options *options)
{
    char reason[256];
    hwa_cpus cpus;
    const hwa_model *model = hwa_model_table;
    if (model == NULL) {
        return refuse("this agent carries no model");
    }
    hwa_sysfs_root(options->sysfs);
    if (!check_files(model, options, reason, sizeof reason) ||
        !hwa_cpus_choose(options->cpu_list, (int32_t)options->threads, options->no_pin, &cpus, reason,
                         sizeof reason)) {
        return refuse(reason);
    }
    /* Shared with the child: after a crash it says which op ran. */
    hwa_model_job *job = mmap(NULL, sizeof *job, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (job == MAP_FAILED) {
        return refuse("out of memory");
    }
    job->model = model;
    job->options = options;
    job->cpus = &cpus;
    hwa_supervise_init();
    job->uncooled = !hwa_cool_down(&(hwa_gate){.patience_ms = options->cool_ms}, options->cool_ms);
    job->lock = hwa_lock_take(&cpus, options->lock_frequency);
    const hwa_outcome outcome = hwa_supervise(measure, pass_line, job, options->timeout_ms);
    hwa_lock_release();
    const int status = report(&outcome, job);
    munmap(job, sizeof *job);
    return status;
}
