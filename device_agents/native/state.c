#include "state.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LINE = 64 };

bool hwa_state_init(hwa_state *state, const hwa_cell *cell, void *const *memory, size_t bytes)
{
    *state = (hwa_state){.cell = cell, .memory = memory, .bytes = bytes};
    if (bytes == 0) {
        return true;
    }
    state->others = malloc(bytes);
    if (state->others == NULL) {
        return false;
    }
    memset(state->others, 1, bytes); /* untouched pages would all be the one page of zeros */
    return true;
}

/* Writes back what is there, a byte of each line. */
static void touch(void *data, uint64_t bytes)
{
    volatile unsigned char *at = data;
    for (uint64_t i = 0; i < bytes; i += LINE) {
        at[i] = at[i];
    }
}

static void touch_role(const hwa_state *state, uint8_t role)
{
    for (int32_t i = 0; i < state->cell->n_args; i++) {
        if (state->cell->args[i].role == role) {
            touch(state->memory[i], state->cell->args[i].bytes);
        }
    }
}

void hwa_state_leave(const hwa_state *state)
{
    const volatile unsigned char *others = state->others;
    for (size_t i = 0; i < state->bytes; i += LINE) {
        (void)others[i];
    }
    touch_role(state, HWA_SCRATCH); /* other operations' memory lies there too */
    touch_role(state, HWA_OUTPUT);
    touch_role(state, HWA_INPUT);
}

void hwa_state_free(hwa_state *state)
{
    free(state->others);
    state->others = NULL;
}
