#ifndef HWA_SELECTION_H
#define HWA_SELECTION_H

#include <stddef.h>
#include <stdint.h>

/* Indices of the cells named in the file, one id a line, in the order of the table; all cells without a file (NULL).
 * `out` has hwa_n_cells places. How many; -1, with `reason` filled, for an unreadable file or an unknown id. */
int32_t hwa_select_cells(const char *path, int32_t *out, char *reason, size_t size);

#endif
