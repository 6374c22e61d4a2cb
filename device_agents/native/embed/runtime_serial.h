#ifndef HWA_RUNTIME_SERIAL_H
#define HWA_RUNTIME_SERIAL_H

#include <stddef.h>

/* Memory for the kernels' workspaces, kept until replaced: as much as `run` reports as memory.workspace on one thread,
 * plus 64 bytes a workspace. Models whose kernels need none can do without. */
void hwa_embed_workspace(void *memory, size_t bytes);

#endif
