"""Link the agent with generated tables and kernels into one static executable.

The agent's own objects are compiled once a target and kept in the user's cache under a hash of their sources and of
what compiles them.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

import platformdirs

from device_agents import NATIVE
from hwaware.compiler.targets import Target, plain_target
from hwaware.compiler.toolchain import Toolchain, run_tool, toolchain

_FLAGS = ("-std=gnu11", "-Os", "-fno-asynchronous-unwind-tables")
_LINK_FLAGS = ("-static", "-s")


def compile_sources(tools: Toolchain, sources: Sequence[Path | str], folder: Path, what: str) -> None:
    """An object file of each source in `folder`; BuildError if one fails."""
    for source in sources:
        # One call each: of several sources, `zig cc -c` compiles the first alone.
        run_tool([*tools.cc, *_FLAGS, "-I", str(NATIVE), "-c", str(source)], folder, what)


def cache_folder() -> Path:
    """Where builds are kept: $HWAWARE_CACHE or the user's cache directory."""
    chosen = os.environ.get("HWAWARE_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("hwaware"))


def agent_sources(*, embed: bool = False) -> list[Path]:
    """The agent's C files; `embed` gives those an app links instead."""
    if embed:
        return [NATIVE / "model.c", NATIVE / "error.c", NATIVE / "embed" / "runtime_serial.c"]
    return sorted(NATIVE.glob("*.c"))


@functools.cache
def _sources_hash() -> str:
    digest = hashlib.sha256()
    for path in sorted(NATIVE.rglob("*.[ch]")):
        digest.update(path.relative_to(NATIVE).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _build_hash(tools: Toolchain) -> str:
    """Of all that decides what is compiled."""
    words = (*tools.cc, *_FLAGS, *_LINK_FLAGS, tools.version, _sources_hash())
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:16]


def agent_objects(target: Target, *, embed: bool = False) -> list[Path]:
    """Object files of the agent (or of the embedded runtime) for `target`, compiled at the first use."""
    tools = toolchain(target)
    kind = "embed" if embed else "agent"
    folder = cache_folder() / "objects" / f"{kind}-{target.zig}-{tools.name}-{_build_hash(tools)}"
    sources = agent_sources(embed=embed)
    objects = [folder / f"{source.stem}.o" for source in sources]
    if all(path.exists() for path in objects):
        return objects
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".building-") as scratch:
        compile_sources(tools, sources, Path(scratch), f"compiling the agent for {target.name}")
        folder.mkdir(exist_ok=True)
        for path in objects:
            os.replace(Path(scratch) / path.name, path)
    return objects


def link_agent(target: Target, tables: str, objects: Sequence[Path], out: Path, assembly: str | None = None) -> None:
    """Write the executable `out`: the agent, `tables` (C source), `objects`, and `assembly` next to its files.

    `assembly` may include files of the folder of `out` by their names.
    """
    tools = toolchain(target)
    agent = agent_objects(target)
    stem = f".{out.name}.{secrets.token_hex(4)}"
    sources = {f"{stem}.tables.c": tables}
    if assembly is not None:
        sources[f"{stem}.data.S"] = assembly
    part = out.with_name(f"{stem}.part")
    try:
        for name, text in sources.items():
            (out.parent / name).write_text(text)
        words = [
            *tools.cc,
            *_FLAGS,
            *_LINK_FLAGS,
            "-I",
            str(NATIVE),
            *sources,
            *(str(path.absolute()) for path in [*agent, *objects]),
        ]
        run_tool([*words, "-lpthread", "-lm", "-o", part.name], out.parent, f"linking for {target.name}")
        os.replace(part, out)
    finally:
        for name in (*sources, part.name):
            (out.parent / name).unlink(missing_ok=True)


def bare_agent(machine: str) -> Path:
    """An agent without kernels for a machine as `uname -m` names it, built at the first use."""
    target = plain_target(machine)
    tools = toolchain(target)
    name = f"bare-{target.zig}-{tools.name}-{_build_hash(tools)}"
    path = cache_folder() / "agents" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        link_agent(target, (NATIVE / "bare" / "tables.c").read_text(), [], path)
    return path
