#include "model_run.h"

#include "fill.h"
#include "npy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hwa_npy form_of(const hwa_buffer *buffer)
{
    return (hwa_npy){.ndim = buffer->ndim,
                     .shape = buffer->shape,
                     .code = buffer->code,
                     .bits = buffer->bits,
                     .bytes = buffer->bytes};
}

/* Integers stay 0: they are indices more often than not, and 0 is in every range. */
static void fill(const hwa_buffer *buffer, void *data, hwa_random *random)
{
    memset(data, 0, (size_t)buffer->bytes);
    if (buffer->code == HWA_FLOAT || buffer->code == HWA_BFLOAT) {
        hwa_fill_values(random, buffer->code, buffer->bits, data, buffer->bytes);
    }
}

bool hwa_model_read_inputs(hwa_model_job *job, char *reason, size_t size)
{
    const hwa_model *model = job->model;
    hwa_random random = hwa_random_seed((uint64_t)job->options->seed);
    job->inputs = calloc((size_t)model->n_inputs + 1, sizeof *job->inputs);
    for (int32_t i = 0; i < model->n_inputs; i++) {
        const hwa_buffer *buffer = &model->buffers[model->inputs[i]];
        if (job->inputs != NULL) {
            job->inputs[i] = malloc(buffer->bytes > 0 ? (size_t)buffer->bytes : 1);
        }
        if (job->inputs == NULL || job->inputs[i] == NULL) {
            snprintf(reason, size, "out of memory");
            return false;
        }
        if (i < job->options->n_inputs) {
            const hwa_npy form = form_of(buffer);
            if (!hwa_npy_read(job->options->inputs[i], &form, job->inputs[i], reason, size)) {
                return false;
            }
        } else {
            fill(buffer, job->inputs[i], &random);
        }
    }
    return true;
}

void hwa_model_restore_inputs(hwa_model_job *job)
{
    for (int32_t i = 0; i < job->model->n_inputs; i++) {
        const int32_t index = job->model->inputs[i];
        memcpy(hwa_model_data(&job->bound, index), job->inputs[i], (size_t)job->model->buffers[index].bytes);
    }
}

void hwa_model_free_inputs(hwa_model_job *job)
{
    for (int32_t i = 0; job->inputs != NULL && i < job->model->n_inputs; i++) {
        free(job->inputs[i]);
    }
    free(job->inputs);
    job->inputs = NULL;
}

bool hwa_model_write_outputs(const hwa_model_job *job, char *reason, size_t size)
{
    for (int32_t i = 0; i < job->options->n_outputs; i++) {
        const int32_t index = job->model->outputs[i];
        const hwa_npy form = form_of(&job->model->buffers[index]);
        if (!hwa_npy_write(job->options->outputs[i], &form, hwa_model_data(&job->bound, index), reason, size)) {
            return false;
        }
    }
    return true;
}
