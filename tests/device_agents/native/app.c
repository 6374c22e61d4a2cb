/* An app that links the model without the agent: its own memory, no threads, no malloc. Prints D's values. */
#include "embed/runtime_serial.h"
#include "error.h"
#include "model.h"

#include <stdio.h>

static _Alignas(64) unsigned char arena[1 << 16];
static int64_t descriptors[256];
static unsigned char workspace[64 * 32 * 4 + 64];

int main(void)
{
    hwa_bound bound;
    const hwa_model *model = hwa_model_table;
    if (model->arena_bytes > sizeof arena || hwa_model_descriptor_bytes(model) > sizeof descriptors ||
        hwa_model_bind(&bound, model, arena, descriptors) != 0) {
        puts(hwa_error_text());
        return 1;
    }
    for (int i = 0; i < 2; i++) {
        const hwa_buffer *buffer = &model->buffers[model->inputs[i]];
        float *input = hwa_model_data(&bound, model->inputs[i]);
        for (uint64_t at = 0; at < buffer->bytes / sizeof *input; at++) {
            input[at] = (float)(at % 7) * 0.01f;
        }
    }
    if (hwa_model_execute(&bound) == 0) {
        puts("a workspace came from nowhere");
        return 1;
    }
    printf("%s\n", hwa_error_text());
    hwa_error_clear();
    hwa_embed_workspace(workspace, sizeof workspace);
    for (int round = 0; round < 3; round++) { /* workspaces are given back: it can go on for ever */
        if (hwa_model_execute(&bound) != 0) {
            puts(hwa_error_text());
            return 1;
        }
    }
    const float *output = hwa_model_data(&bound, model->outputs[0]);
    for (int i = 0; i < 64 * 32; i++) {
        printf("%.9g\n", (double)output[i]);
    }
    return 0;
}
