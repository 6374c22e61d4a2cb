/* An app that uses a compiled model as its header says: reads floats from stdin, prints the outputs. */
#include "model.h"

#include <stdio.h>

static _Alignas(64) unsigned char memory[MODEL_MEMORY_BYTES];

int main(void)
{
    if (model_init(memory) != 0) {
        puts(model_error());
        return 1;
    }
    if (fread(model_input(0), 1, MODEL_INPUT_0_BYTES, stdin) != MODEL_INPUT_0_BYTES) {
        puts("too little input");
        return 2;
    }
    for (int round = 0; round < 3; round++) {
        if (model_run() != 0) {
            puts(model_error());
            return 3;
        }
    }
    return fwrite(model_output(0), 1, MODEL_OUTPUT_0_BYTES, stdout) == MODEL_OUTPUT_0_BYTES ? 0 : 4;
}
