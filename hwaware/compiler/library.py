"""``libmodel.a`` and ``model.h``: the model for an app to link, without the agent.

The archive needs nothing but memset: no threads, no files, no malloc. The app gives the memory.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hwaware.compiler.link import agent_objects, compile_sources
from hwaware.compiler.tables import ModelTables, weights_assembly
from hwaware.compiler.targets import Target
from hwaware.compiler.toolchain import run_tool, toolchain

_HEADER = """\
/* A compiled model. Give it memory once, write the inputs, run, read the outputs.
 *
 *     static _Alignas(64) unsigned char memory[MODEL_MEMORY_BYTES];
 *     model_init(memory);
 *     ... fill model_input(0) ...
 *     model_run();
 *     ... read model_output(0) ...
 *
 * model_init and model_run return 0, or nonzero on failure; model_error then says why. One model at a time, one thread.
 */
#ifndef MODEL_H
#define MODEL_H

#ifdef __cplusplus
extern "C" {
#endif

#define MODEL_MEMORY_BYTES @MEMORY@u
#define MODEL_INPUTS @INPUTS@
#define MODEL_OUTPUTS @OUTPUTS@
@SIZES@

int model_init(void *memory);
void *model_input(int index);
const void *model_output(int index);
int model_run(void);
const char *model_error(void);

#ifdef __cplusplus
}
#endif

#endif
"""

_SOURCE = """\
#include "embed/runtime_serial.h"
#include "error.h"
#include "hwa.h"
#include "model.h" /* the runner's, from the agent */
#include <stddef.h>

static hwa_bound bound;

int model_init(void *memory)
{
    unsigned char *bytes = memory;
    /* The kernels define the runtime's entry points weakly, so only a use makes the linker take the runtime. */
    hwa_embed_workspace(NULL, 0);
    return hwa_model_bind(&bound, hwa_model_table, bytes, bytes + @ARENA@);
}

void *model_input(int index) { return hwa_model_data(&bound, hwa_model_table->inputs[index]); }

const void *model_output(int index) { return hwa_model_data(&bound, hwa_model_table->outputs[index]); }

int model_run(void) { return hwa_model_execute(&bound); }

const char *model_error(void) { return hwa_error_text(); }
"""

# Upper bounds of the agent's descriptors (model.h): a tensor with its strides, an argument, an operation's index.
_TENSOR_BYTES, _ARGUMENT_BYTES, _CALL_BYTES = 128, 16, 8


def write_library(tables: ModelTables, target: Target, folder: Path) -> None:
    """Write libmodel.a and model.h into `folder`, which holds kernels.o and weights.bin."""
    arena = tables.arena_bytes
    arguments = sum(len(call.tensors) for call in tables.calls)
    descriptors = (
        _TENSOR_BYTES * (len(tables.tensors) + 1) + _ARGUMENT_BYTES * arguments + _CALL_BYTES * len(tables.calls)
    )
    sizes = [f"#define MODEL_INPUT_{i}_BYTES {tables.tensors[t].bytes}u" for i, t in enumerate(tables.inputs)]
    sizes += [f"#define MODEL_OUTPUT_{i}_BYTES {tables.tensors[t].bytes}u" for i, t in enumerate(tables.outputs)]
    header = (
        _HEADER.replace("@MEMORY@", str(arena + descriptors))
        .replace("@INPUTS@", str(len(tables.inputs)))
        .replace("@OUTPUTS@", str(len(tables.outputs)))
        .replace("@SIZES@", "\n".join(sizes))
    )
    tools = toolchain(target)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".library-") as name:
        scratch = Path(name)
        source = _SOURCE.replace("@ARENA@", str(arena))
        (scratch / "api.c").write_text(source)
        (scratch / "tables.c").write_text(tables.source())
        (scratch / "data.S").write_text(weights_assembly("../weights.bin"))
        compile_sources(tools, ["api.c", "tables.c", "data.S"], scratch, "compiling libmodel.a")
        members = [
            "api.o",
            "tables.o",
            "data.o",
            "../kernels.o",
            *(str(path.absolute()) for path in agent_objects(target, embed=True)),
        ]
        run_tool([*tools.ar, "rcs", "../libmodel.a", *members], scratch, "archiving libmodel.a")
    (folder / "model.h").write_text(header)
