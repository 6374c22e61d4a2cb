"""`hwaware doctor`: what works on this machine, what is missing, and the command that installs it."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass

from hwaware.cli.output import emit
from hwaware.errors import HwawareError

HELP = "say what works on this machine and what is missing"
EXAMPLE = "hwaware doctor"


@dataclass(frozen=True)
class Check:
    """One thing hwaware uses: whether it is there, what was found, and how to get it."""

    name: str
    ok: bool
    found: str
    needed_for: str
    install: str


def configure(parser: argparse.ArgumentParser) -> None:
    """No options of its own."""


def run(args: argparse.Namespace) -> int:
    """Look at everything; the exit status is 1 only if something every use needs is missing."""
    checks = [_library(*row) for row in _LIBRARIES] + [_tool(*row) for row in _TOOLS] + [_linker(), _nvcc(), _agent()]
    lines = []
    for check in checks:
        mark = "ok     " if check.ok else "missing"
        lines.append(f"{mark} {check.name:16} {check.found}")
        if not check.ok:
            lines.append(f"        for {check.needed_for}: {check.install}")
    emit(args, {"checks": [asdict(check) for check in checks]}, "\n".join(lines))
    required = {"torch", "apache-tvm", "apache-tvm-ffi", "linker", "local agent"}
    broken = [check.name for check in checks if not check.ok and check.name in required]
    if broken:
        raise HwawareError(f"{', '.join(broken)} not usable: install as shown above, then run `hwaware doctor` again")
    return 0


_PIP = "pip install -c constraints.txt ."
_LIBRARIES = (
    ("torch", "capturing and training models", _PIP),
    ("apache-tvm", "code generation", _PIP),
    ("apache-tvm-ffi", "code generation", _PIP),
    ("ziglang", "linking for other devices", "pip install ziglang"),
    ("paramiko", "SSH devices", "pip install paramiko"),
)
_APT = "apt-get install"
_TOOLS = (
    ("cc", "quick linking for this machine (zig does it otherwise)", f"{_APT} gcc libc6-dev"),
    ("adb", "Android phones", f"{_APT} adb"),
    ("qemu-aarch64-static", "trying ARM code on this machine (tests)", f"{_APT} qemu-user-static"),
    ("sshd", "the tests of SSH devices", f"{_APT} openssh-server"),
    ("chromium", "the tests of the report page", f"{_APT} chromium"),
)


def _library(name: str, needed_for: str, install: str) -> Check:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return Check(name, True, version(name), needed_for, install)
    except PackageNotFoundError:
        return Check(name, False, "not installed", needed_for, install)


def _tool(name: str, needed_for: str, install: str) -> Check:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    return Check(name, found is not None, found or "not found", needed_for, install)


def _linker() -> Check:
    def found() -> str:
        from hwaware.compiler.targets import host_machine, plain_target
        from hwaware.compiler.toolchain import toolchain

        return f"{toolchain(plain_target(host_machine())).name} links for this machine"

    return _attempt("linker", found, "building anything", _PIP)


def _nvcc() -> Check:
    def found() -> str:
        from hwaware.compiler.cuda.nvcc import find_nvcc, nvcc_version

        return f"{find_nvcc()}, CUDA {nvcc_version()}"

    return _attempt("nvcc", found, "the GPUs of CUDA boards", "install the CUDA toolkit, or set CUDA_PATH")


def _agent() -> Check:
    def found() -> str:
        from hwaware.devices.device import open_device
        from hwaware.profiling.target import target_of

        with open_device("local") as device:
            return f"runs, this machine is {target_of(device).name}"

    return _attempt("local agent", found, "measuring on this machine", "see the message")


def _attempt(name: str, action: Callable[[], str], needed_for: str, install: str) -> Check:
    try:
        return Check(name, True, action(), needed_for, install)
    except HwawareError as error:
        return Check(name, False, str(error), needed_for, install)
