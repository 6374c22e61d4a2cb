"""Link the agent with generated tables and kernels into one static executable.

The system's C compiler does it where the target is this machine and it can link statically; everything else is
linked by `zig cc`, which carries a C library for each target. The agent's own objects are compiled once a target and
kept in the user's cache under a hash of their sources.
"""

from __future__ import annotations

import functools
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from device_agents import NATIVE
from hwaware.compiler.targets import Target, host_machine, plain_target
from hwaware.errors import BuildError

_FLAGS = ("-std=gnu11", "-Os", "-fno-asynchronous-unwind-tables")
_LINK_FLAGS = ("-static", "-s")
_TIMEOUT_S = 600
_TELLING = ("error", "cannot find", "undefined reference", "no space left")


@dataclass(frozen=True)
class Toolchain:
    """A C compiler as the first words of a command, and its archiver."""

    name: str
    cc: tuple[str, ...]
    ar: tuple[str, ...]


def toolchain(target: Target) -> Toolchain:
    """The compiler that links for `target`."""
    system = shutil.which("cc")
    if system and target.triple == plain_target_or_none(host_machine()) and _links_statically(system):
        return Toolchain("cc", (system,), (shutil.which("ar") or "ar",))
    zig = (sys.executable, "-m", "ziglang")
    return Toolchain("zig", (*zig, "cc", "-target", target.zig), (*zig, "ar"))


def plain_target_or_none(machine: str) -> str | None:
    """The triple of a machine, None for one hwaware has no target for."""
    try:
        return plain_target(machine).triple
    except BuildError:
        return None


@functools.cache
def _links_statically(compiler: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text("int main(void) { return 0; }\n")
        command = [compiler, "-static", str(source), "-o", str(Path(folder) / "probe"), "-lm", "-lpthread"]
        return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


def run_tool(command: Sequence[str], folder: Path, what: str) -> None:
    """Run a build tool in `folder`; BuildError with its first complaint if it fails."""
    try:
        done = subprocess.run(
            list(command), cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False, errors="replace"
        )
    except FileNotFoundError as error:
        raise BuildError(f"{what}: {command[0]} is not installed; run `hwaware doctor`") from error
    except OSError as error:
        raise BuildError(f"{what}: {command[0]} cannot be run ({error.strerror}); run `hwaware doctor`") from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{what}: {command[0]} took longer than {_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise BuildError(f"{what} failed: {_complaint(done.stderr)[:300]}")


def _complaint(text: str) -> str:
    """The line of a build tool's messages that says what is wrong; gcc's driver sums up last and says nothing."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("collect2:")]
    telling = [line for line in lines if any(word in line.lower() for word in _TELLING)]
    return (telling or lines or ["no message"])[0]


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


def agent_objects(target: Target, *, embed: bool = False) -> list[Path]:
    """Object files of the agent (or of the embedded runtime) for `target`, compiled at the first use."""
    tools = toolchain(target)
    compiler = hashlib.sha256(" ".join((*tools.cc, *_FLAGS)).encode()).hexdigest()[:8]
    kind = "embed" if embed else "agent"
    folder = cache_folder() / "objects" / f"{kind}-{target.zig}-{tools.name}-{compiler}-{_sources_hash()[:16]}"
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
    name = f"bare-{target.zig}-{toolchain(target).name}-{_sources_hash()[:16]}"
    path = cache_folder() / "agents" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        link_agent(target, (NATIVE / "bare" / "tables.c").read_text(), [], path)
    return path
