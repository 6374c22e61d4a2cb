"""ARM boards with nothing but BusyBox and a real SSH server: every command is ARM code, run under qemu."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.requirements import need_path
from tests.sshd import Sshd, start_sshd

# As `uname -m` names them.
MACHINES = ("aarch64", "armv7l")
_EMULATORS = {"aarch64": "qemu-aarch64", "armv7l": "qemu-arm"}
_WHY = "run .ci/arm"


def arm_userland(machine: str, folder: Path) -> Path:
    """A folder `bin` in `folder` with the commands of BusyBox for `machine`."""
    need_path(Path("/proc/sys/fs/binfmt_misc") / _EMULATORS[machine], why=_WHY)
    programs = Path(os.environ.get("HWAWARE_TEST_ARM", "/usr/local/share/hwaware-tests"))
    program = need_path(programs / machine / "busybox", why=_WHY)
    commands = folder / "bin"
    commands.mkdir(parents=True)
    for applet in subprocess.check_output([program, "--list"], text=True).split():
        (commands / applet).symlink_to(program)
    return commands


def start_arm_board(folder: Path, machine: str) -> Sshd:
    """A board in `folder`: no SFTP, no Python, nothing installed but its SSH server."""
    commands = arm_userland(machine, folder / "system")
    forced = f'exec {commands}/sh -c "$SSH_ORIGINAL_COMMAND"'
    return start_sshd(folder / "server", {"PATH": str(commands)}, sftp=False, forced=forced)
