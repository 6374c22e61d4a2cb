/* The whole model, measured in a process of its own. */
#ifndef HWA_MODEL_RUN_H
#define HWA_MODEL_RUN_H

#include "cpus.h"
#include "lock.h"
#include "model.h"
#include "options.h"
#include "text.h"

/* Exit status of a child that has written its own error line. */
enum { HWA_REPORTED = 10 };

typedef struct {
    const hwa_model *model;
    const hwa_options *options;
    const hwa_cpus *cpus;
    hwa_lock lock;
    bool uncooled; /* the processor was still hot when the wait for it was over */
    hwa_bound bound;
    void **inputs; /* kept beside the arena, which reuses their memory: copied in before each execution */
    uint64_t cold_ns;
    int64_t baseline, peak; /* resident bytes before the arena, and most above that */
} hwa_model_job;

/* Runs in the child: writes the lines of the run to fd. The exit status. */
int hwa_model_measure(hwa_model_job *job, int fd);

/* In model_io.c: the inputs from the given files, or random; and the outputs to the given files. */
bool hwa_model_read_inputs(hwa_model_job *job, char *reason, size_t size);
bool hwa_model_write_outputs(const hwa_model_job *job, char *reason, size_t size);
void hwa_model_restore_inputs(hwa_model_job *job);
void hwa_model_free_inputs(hwa_model_job *job);

/* In per_op.c: a pass that times each op within the whole, then one line an op. */
bool hwa_model_measure_ops(hwa_model_job *job, int fd, char *reason, size_t size);

/* The reason of a failed kernel of the model. */
void hwa_model_kernel_reason(const hwa_model_job *job, int status, char *out, size_t size);

#endif
