/* Hand-written kernels with TVM's packed signature: sound ones, and one of each kind of failure. */
#ifndef TEST_KERNELS_H
#define TEST_KERNELS_H

#include "hwa.h"

#define KERNEL(name) int name(void *handle, const TVMFFIAny *args, int32_t n_args, TVMFFIAny *result)

/* Cells. */
KERNEL(cell_scale);          /* args: x, w, y of one length; y = x * w */
KERNEL(cell_parallel);       /* args: x, y; y[i] = the sum of row i of x, rows shared out over the threads */
KERNEL(cell_nested);         /* a parallel launch within a parallel launch */
KERNEL(cell_workspace);      /* takes and returns two workspaces */
KERNEL(cell_check_values);   /* raises unless arg 0 is as bench promises to fill it */
KERNEL(cell_check_indices);  /* raises unless arg 0 holds indices in [0, 10) and not all the same */
KERNEL(cell_check_rising);   /* raises unless arg 0 begins 36 even ranges of 1000 */
KERNEL(cell_raise);          /* an error with a message of awkward characters */
KERNEL(cell_raise_silently); /* nonzero without a message */
KERNEL(cell_raise_late);     /* from the 20th call on: there are 20 samples at least */
KERNEL(cell_raise_in_task);  /* one task of a parallel launch */
KERNEL(cell_illegal);
KERNEL(cell_segfault);
KERNEL(cell_divide);
KERNEL(cell_forever);
KERNEL(cell_exit);
KERNEL(cell_killed); /* as the kernel does when memory runs out */
KERNEL(cell_greedy); /* a workspace of 2^50 bytes */
KERNEL(cell_awake);  /* with HWA_TEST_AWAKE set: raises in the 20th call if workers were woken before few of them */
KERNEL(cell_chatty); /* prints half a line to stdout, then succeeds */

/* Ops of the model. */
KERNEL(op_add);    /* t = x + w, rows shared out over the threads */
KERNEL(op_double); /* u = 2 t; crashes when the environment has HWA_TEST_CRASH */
KERNEL(op_gather); /* y = u[i]; raises when an index is out of range */

#endif
