/* The state in which a model leaves memory between two calls of one of its kernels. */
#ifndef HWA_STATE_H
#define HWA_STATE_H

#include "hwa.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    const hwa_cell *cell;
    void *const *memory; /* of the cell's arguments */
    unsigned char *others;
    size_t bytes; /* of `others`: what the rest of the model reads and writes between two calls; 0: nothing */
} hwa_state;

/* False: out of memory. */
bool hwa_state_init(hwa_state *state, const hwa_cell *cell, void *const *memory, size_t bytes);

/* Reads as many other bytes as the rest of the model would, so that weights are as cold as there; then touches the
 * output's memory (the arena is used again and again) and, last, writes the input as the kernel before does. */
void hwa_state_leave(const hwa_state *state);

void hwa_state_free(hwa_state *state);

#endif
