"""From kernels to one relocatable object file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hwaware.compiler.kernel import Kernel
from hwaware.compiler.targets import Target
from hwaware.errors import BuildError


def compile_module(kernels: Sequence[Kernel], target: Target) -> Any:
    """TVM's compiled module of the kernels, one function a symbol."""
    import tvm

    module = tvm.IRModule({kernel.symbol: kernel.function for kernel in kernels})
    # Storage rewriting would let tiles of different vector widths share a buffer, which then cannot live in registers.
    options = {"tirx.disable_storage_rewrite": True}
    try:
        # Compacting looks for the touched region of every buffer: all are sized as they are used, and it takes longer
        # than all other passes together.
        with tvm.ir.transform.PassContext(opt_level=3, config=options, disabled_pass=["s_tir.CompactBufferAllocation"]):
            return tvm.compile(module, target=tvm.target.Target(target.llvm()))
    except Exception as error:
        names = ", ".join(kernel.workload.key for kernel in kernels[:3])
        raise BuildError(f"code generation failed for {target.name} ({names}): {error}") from error


def write_object(kernels: Sequence[Kernel], target: Target, path: Path) -> None:
    """Write the kernels' object code to `path`, whole or not at all."""
    executable = compile_module(kernels, target)
    part = path.with_name(f"{path.stem}.{os.getpid()}.part.o")
    executable.mod.write_to_file(str(part), "o")
    os.replace(part, path)
