"""From GPU kernels to object code for the host and the modules that its library carries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwaware.compiler.cuda.functions import PRELUDE
from hwaware.compiler.cuda.imports import SYMBOL, packed_imports, with_binary
from hwaware.compiler.cuda.nvcc import compile_source
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.kernel import Kernel
from hwaware.errors import BuildError

# Without it a machine that has a GPU would have TVM compile device code, by other rules than ours.
_NO_RUNTIME = "TVM_COMPILE_FORCE_FALLBACK"


@dataclass(frozen=True)
class Compiled:
    """TVM's module for the host, and the CUDA source that goes with it."""

    module: Any
    source: str


def compile_module(kernels: Sequence[Kernel], target: CudaTarget, extra: Sequence[Any] = ()) -> Compiled:
    """Host code that launches `kernels`, one function a symbol, and their CUDA source. Raises BuildError.

    `extra` are functions that carry their symbol themselves.
    """
    import tvm

    functions = {kernel.symbol: kernel.function for kernel in kernels}
    functions |= {str(function.attrs["global_symbol"]): function for function in extra}
    try:
        with _source_only():
            executable = tvm.compile(tvm.IRModule(functions), target=tvm.target.Target(target.cuda()))
        (imported,) = executable.mod.imports
        source = str(imported.inspect_source("cuda"))
    except Exception as error:
        names = ", ".join(kernel.workload.key for kernel in kernels[:3])
        raise BuildError(f"code generation failed for {target.name} ({names}): {error}") from error
    if not source:
        raise BuildError(f"code generation for {target.name} left no CUDA source: install TVM 0.27")
    return Compiled(executable.mod, source)


@contextmanager
def _source_only() -> Iterator[None]:
    before = os.environ.get(_NO_RUNTIME)
    os.environ[_NO_RUNTIME] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_RUNTIME]
        else:
            os.environ[_NO_RUNTIME] = before


def write_objects(compiled: Compiled, target: CudaTarget, folder: Path) -> None:
    """Write ``kernels.o``, ``imports.bin`` and ``imports.S``, which includes it, into `folder`. Raises BuildError."""
    binary = compile_source(PRELUDE + compiled.source, target.arch)
    blob = with_binary(packed_imports(compiled.module), compiled.source.encode(), binary)
    compiled.module.write_to_file(str(folder / "kernels.o"), "o")
    (folder / "imports.bin").write_bytes(blob)
    (folder / "imports.S").write_text(
        f'.section .rodata,"a",%progbits\n.balign 8\n.globl {SYMBOL}\n{SYMBOL}:\n.incbin "imports.bin"\n.byte 0\n'
        '.section .note.GNU-stack,"",%progbits\n'
    )
