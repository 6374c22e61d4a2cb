"""A shared library of kernels, for TVM's runtime to load.

Nothing in it names a library: what kernels leave open (TVM's functions, memset) is there in the process that loads it.
Naming the C library would tie it to the linker's: one that asks for musl's cannot be loaded where glibc is.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hwaware.compiler.targets import Target
from hwaware.compiler.toolchain import run_tool, toolchain

_COMPILED = ("-std=gnu11", "-O2", "-fPIC", "-fno-asynchronous-unwind-tables", "-fno-unwind-tables", "-c")
_LINKED = ("-shared", "-nostdlib")


def link_shared(target: Target, files: Sequence[str], out: Path, sources: Sequence[Path] = ()) -> None:
    """Write `out` from `files` of its folder, objects or assembly, and C `sources`. Raises BuildError."""
    # With glibc's headers, as Python on a board does: sizes of types differ between C libraries.
    cc = toolchain(replace(target, zig=target.zig.replace("musl", "gnu"))).cc
    made = [f".{source.stem}.{secrets.token_hex(4)}.o" for source in sources]
    part = f".{out.name}.{secrets.token_hex(4)}.part"
    try:
        for source, name in zip(sources, made, strict=True):
            # Apart: where no C library is linked, zig finds no headers either.
            run_tool([*cc, *_COMPILED, str(source), "-o", name], out.parent, f"compiling {source.name}")
        words = [*cc, *_LINKED, *made, *files, "-o", part]
        run_tool(words, out.parent, f"linking {out.name} for {target.name}")
        os.replace(out.with_name(part), out)
    finally:
        for name in (*made, part):
            out.with_name(name).unlink(missing_ok=True)
