#include "model_run.h"

#include "calm.h"
#include "clock.h"
#include "result.h"

#include <stdio.h>
#include <stdlib.h>

/* All samples are kept until the pass is over; this bounds their memory to 8 MiB where min_count allows. */
enum { MAX_KEPT = 1 << 20 };

/* While the line before was written, the pool's workers parked and the caches went cold. */
enum { DISCARDED = 3 };

static int32_t most_rounds(const hwa_model_job *job)
{
    const int64_t ops = job->model->n_ops > 0 ? job->model->n_ops : 1;
    const int64_t affordable = MAX_KEPT / ops;
    const int64_t wanted = affordable > job->options->min_count ? affordable : job->options->min_count;
    return (int32_t)(wanted < job->options->max_count ? wanted : job->options->max_count);
}

/* One execution with a look at the clock after each op; `tenths` gets a value every `stride` places. */
static int run_round(hwa_model_job *job, uint64_t *tenths, size_t stride)
{
    hwa_model_restore_inputs(job);
    uint64_t before = hwa_now_ns();
    for (int32_t op = 0; op < job->model->n_ops; op++) {
        const int status = hwa_model_execute_op(&job->bound, op);
        if (status != 0) {
            return status;
        }
        const uint64_t now = hwa_now_ns();
        tenths[(size_t)op * stride] = (now - before) * 10;
        before = now;
    }
    return 0;
}

static bool write_op(const hwa_model_job *job, int32_t index, const uint64_t *tenths, int32_t count, int fd)
{
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "op");
    hwa_text_int(&line, "index", index);
    hwa_text_string(&line, "name", job->model->ops[index].name);
    hwa_text_string(&line, "key", job->model->ops[index].key);
    hwa_tenths_json(&line, tenths, count);
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, fd);
    hwa_text_free(&line);
    return ok;
}

/* Whether there may be another round. */
static bool goes_on(const hwa_model_job *job, const hwa_calm *calm, int32_t rounds, int32_t most, uint64_t kept_ns)
{
    const uint64_t least_ns = (uint64_t)job->options->min_time_ms * 1000000u;
    return rounds < most && (rounds < job->options->min_count || (kept_ns < least_ns && !hwa_calm_is_over(calm)));
}

bool hwa_model_measure_ops(hwa_model_job *job, int fd, char *reason, size_t size)
{
    const int32_t most = most_rounds(job);
    uint64_t *tenths = calloc((size_t)most * (size_t)job->model->n_ops + 1, sizeof *tenths);
    if (tenths == NULL) {
        snprintf(reason, size, "out of memory");
        return false;
    }
    int status = 0;
    for (int i = 0; status == 0 && i < DISCARDED; i++) {
        status = run_round(job, tenths, (size_t)most);
    }
    hwa_calm calm = hwa_calm_asked(job->options);
    int32_t rounds = 0;
    uint64_t kept_ns = 0;
    while (status == 0 && goes_on(job, &calm, rounds, most, kept_ns)) {
        const int32_t before = rounds;
        hwa_calm_wait(&calm);
        if (!goes_on(job, &calm, rounds, most, kept_ns)) {
            break; /* the wait was in vain, and there are enough */
        }
        const uint64_t begun = hwa_now_ns();
        uint64_t block_ns = 0;
        do {
            status = run_round(job, tenths + rounds, (size_t)most);
            rounds += status == 0;
            block_ns = hwa_now_ns() - begun;
        } while (status == 0 && goes_on(job, &calm, rounds, most, kept_ns + block_ns) && hwa_calm_goes_on(begun));
        if (hwa_calm_spoilt(&calm, begun)) {
            rounds = before;
        } else {
            kept_ns += block_ns;
        }
    }
    bool ok = status == 0;
    if (!ok) {
        hwa_model_kernel_reason(job, status, reason, size);
    } else {
        snprintf(reason, size, "out of memory");
    }
    for (int32_t op = 0; ok && op < job->model->n_ops; op++) {
        ok = write_op(job, op, tenths + (size_t)op * (size_t)most, rounds, fd);
    }
    free(tenths);
    return ok;
}
