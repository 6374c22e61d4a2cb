/* Tables of the bare agent: nothing to measure. It answers `info` on a device nobody knows yet. */
#include "hwa.h"

#include <stddef.h>

const hwa_cell hwa_cells[1] = {{0}};
const int32_t hwa_n_cells = 0;
const hwa_model *const hwa_model_table = NULL;
