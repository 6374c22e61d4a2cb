#include "bench.h"

#include "cell.h"
#include "cooling.h"
#include "fill.h"
#include "selection.h"
#include "supervise.h"
#include "sysfs.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int hwa_list_cells(void)
{
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "cells");
    hwa_text_key(&line, "ids");
    hwa_text_raw(&line, "[");
    for (int32_t i = 0; i < hwa_n_cells; i++) {
        hwa_text_string(&line, NULL, hwa_cells[i].id);
    }
    hwa_text_raw(&line, "]}");
    const bool ok = hwa_text_write(&line, STDOUT_FILENO);
    hwa_text_free(&line);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void shuffle(int32_t *order, int32_t n, uint64_t seed)
{
    hwa_random random = hwa_random_seed(seed);
    for (int32_t i = n - 1; i > 0; i--) {
        const int32_t j = (int32_t)hwa_random_below(&random, (uint64_t)i + 1);
        const int32_t kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}

typedef struct {
    hwa_cell_job job;
    hwa_text line; /* kept until the child ended well: what a crashing child wrote is not a result */
} bench_child;

static int measure(void *context, int fd)
{
    const bench_child *child = context;
    return hwa_cell_measure(&child->job, fd);
}

static bool keep_line(void *context, const char *line, size_t size)
{
    bench_child *child = context;
    child->line.size = 0;
    hwa_text_append(&child->line, line, size);
    return true;
}

static bool bench_cell(bench_child *child, int64_t timeout_ms)
{
    char reason[128];
    child->line.size = 0;
    const hwa_outcome outcome = hwa_supervise(measure, keep_line, child, timeout_ms);
    if (hwa_outcome_ok(&outcome) && child->line.size > 0 && !child->line.failed) {
        return hwa_write_all(STDOUT_FILENO, child->line.data, child->line.size);
    }
    hwa_outcome_reason(&outcome, reason, sizeof reason);
    return hwa_cell_write_failed(child->job.cell, reason, STDOUT_FILENO);
}

static bool write_done(int32_t cells)
{
    hwa_text line = {0};
    hwa_text_raw(&line, "{");
    hwa_text_string(&line, "type", "done");
    hwa_text_int(&line, "cells", cells);
    hwa_text_raw(&line, "}");
    const bool ok = hwa_text_write(&line, STDOUT_FILENO);
    hwa_text_free(&line);
    return ok;
}

static int refuse(const char *reason)
{
    hwa_write_error(STDOUT_FILENO, reason);
    return EXIT_FAILURE;
}

int hwa_bench(const hwa_options *options)
{
    char reason[256];
    hwa_cpus cpus;
    hwa_sysfs_root(options->sysfs);
    if (!hwa_cpus_choose(options->cpu_list, (int32_t)options->threads, options->no_pin, &cpus, reason, sizeof reason)) {
        return refuse(reason);
    }
    int32_t *order = malloc(((size_t)hwa_n_cells + 1) * sizeof *order);
    if (order == NULL) {
        return refuse("out of memory");
    }
    const int32_t n = hwa_select_cells(options->only_from, order, reason, sizeof reason);
    if (n < 0) {
        free(order);
        return refuse(reason);
    }
    shuffle(order, n, (uint64_t)options->seed);
    hwa_supervise_init();
    hwa_gate gate = {.patience_ms = options->cool_ms};
    hwa_cool_down(&gate, options->cool_ms); /* a limit that heat sets would be taken for the user's */
    const hwa_lock lock = hwa_lock_take(&cpus, options->lock_frequency);
    bench_child child = {.job = {.options = options, .cpus = &cpus, .lock = &lock}};
    bool heard = true;
    for (int32_t i = 0; heard && i < n; i++) {
        child.job.cell = &hwa_cells[order[i]];
        child.job.seed = (uint64_t)options->seed * (uint64_t)hwa_n_cells + (uint64_t)order[i];
        child.job.uncooled = !hwa_cool_down(&gate, options->cool_ms);
        heard = bench_cell(&child, options->timeout_ms);
    }
    hwa_lock_release();
    heard = heard && write_done(n);
    hwa_text_free(&child.line);
    free(order);
    return heard ? EXIT_SUCCESS : EXIT_FAILURE;
}
