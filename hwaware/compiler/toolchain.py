"""The C compiler that links for a target, and how build tools are run.

The system's compiler does it where the target is this machine and it can link statically; everything else is done by
`zig cc`, which carries a C library for each target, or, where zig is not installed, by a cross compiler of the system.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hwaware.compiler.targets import Target, host_machine, plain_target
from hwaware.errors import BuildError

_TIMEOUT_S = 600
_TELLING = ("error", "cannot find", "undefined reference", "no space left")
# Debian's names, by the first word of the target's triple for zig.
_CROSS = {
    "aarch64": "aarch64-linux-gnu",
    "arm": "arm-linux-gnueabihf",
    "riscv64": "riscv64-linux-gnu",
    "x86_64": "x86_64-linux-gnu",
}
_PACKAGES = {prefix: f"gcc-{prefix.replace('_', '-')}" for prefix in _CROSS.values()}


@dataclass(frozen=True)
class Toolchain:
    """A C compiler as the first words of a command, and its archiver.

    `version` tells one release of it from another: what was compiled by one is not taken for the other's.
    """

    name: str
    cc: tuple[str, ...]
    ar: tuple[str, ...]
    version: str = ""


def toolchain(target: Target) -> Toolchain:
    """The compiler that links for `target`. Raises BuildError where there is none."""
    system = shutil.which("cc")
    if system and target.triple == plain_target_or_none(host_machine()) and _links_statically(system):
        return Toolchain("cc", (system,), (shutil.which("ar") or "ar",), _version_of(system))
    if importlib.util.find_spec("ziglang") is not None:
        zig = (sys.executable, "-m", "ziglang")
        version = importlib.metadata.version("ziglang")
        return Toolchain("zig", (*zig, "cc", "-target", target.zig), (*zig, "ar"), version)
    return _cross_compiler(target)


def _cross_compiler(target: Target) -> Toolchain:
    prefix = _CROSS.get(target.zig.partition("-")[0], "")
    compiler = shutil.which(f"{prefix}-gcc") if prefix else None
    if compiler is None or not _links_statically(compiler):
        or_else = f", or `apt-get install {_PACKAGES[prefix]}`" if prefix else ""
        raise BuildError(f"nothing here links for {target.name}: `pip install ziglang`{or_else}")
    return Toolchain(f"{prefix}-gcc", (compiler,), (shutil.which(f"{prefix}-ar") or "ar",), _version_of(compiler))


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


@functools.cache
def _version_of(compiler: str) -> str:
    done = subprocess.run([compiler, "--version"], capture_output=True, timeout=60, check=False)
    return hashlib.sha256(done.stdout).hexdigest()


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
