"""A Jetson's clocks, fixed as long as something is measured, and as they were before however that ends.

A process of its own session keeps them: it stores the clocks, fixes them, and waits on a pipe whose other end is the
agent's. When the pipe closes, for whatever reason, SIGKILL of the agent included, it restores what it stored.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

TOOL = "jetson_clocks"
# Where a plain login's PATH does not always lead.
PLACES = "/usr/bin:/usr/sbin:/sbin"
_TOOL_S = 60.0
_DONE = b"fixed"


@dataclass
class Lock:
    """Whether the clocks are fixed, the one that counts in kHz, and why not if they were to be."""

    locked: bool = False
    khz: int | None = None
    reason: str | None = None
    _keeper: int = 0
    _hold: int = -1

    @classmethod
    def take(cls, khz: Callable[[], int | None], *, asked: bool) -> Lock:
        """Fix the clocks if that is `asked`; not being able to is no error. `khz` reads the one that counts."""
        if not asked:
            return cls()
        command, reason = _command()
        if command is None:
            return cls(reason=reason)
        report, told = os.pipe()
        held, hold = os.pipe()
        keeper = os.fork()
        if keeper == 0:
            os.close(report)
            os.close(hold)
            _keep(command, told, held)
        os.close(told)
        os.close(held)
        lock = cls(_keeper=keeper, _hold=hold)
        try:
            answer = _answer(report)
        except BaseException:
            lock.release()
            raise
        finally:
            os.close(report)
        if answer != _DONE:
            lock.release()
            return cls(reason=answer.decode(errors="replace") or f"{TOOL} did not answer")
        lock.locked, lock.khz = True, khz()
        return lock

    def release(self) -> None:
        """Give the clocks back and wait until they are as before."""
        if self._hold >= 0:
            os.close(self._hold)
            os.waitpid(self._keeper, 0)
            self._hold = -1

    def forget(self) -> None:
        """In a child that was forked meanwhile: the lock is the parent's."""
        if self._hold >= 0:
            os.close(self._hold)
            self._hold = -1

    def members(self) -> dict[str, object]:
        """``frequency_locked``, ``locked_khz`` and ``lock_reason`` of a line."""
        return {"frequency_locked": self.locked, "locked_khz": self.khz, "lock_reason": self.reason}


def _command() -> tuple[list[str] | None, str]:
    """How the tool is started, or why it cannot be."""
    tool = shutil.which(TOOL, path=f"{os.environ.get('PATH', '')}:{PLACES}")
    if tool is None:
        return None, f"this board has no {TOOL}"
    if os.geteuid() == 0:
        return [tool], ""
    sudo = shutil.which("sudo")
    if sudo is None or not _runs([sudo, "-n", "true"]):
        return None, f"{TOOL} needs root, and sudo asks for a password"
    return [sudo, "-n", tool], ""


def _runs(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_TOOL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _answer(report: int) -> bytes:
    """What the keeper reports, nothing where it does not in time."""
    readable, _, _ = select.select([report], [], [], 3 * _TOOL_S)
    return os.read(report, 1000) if readable else b""


def _keep(command: Sequence[str], told: int, held: int) -> NoReturn:
    """The keeper: never returns. It holds none of the agent's files, or whoever reads those would wait for it."""
    status = 1
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        with tempfile.TemporaryDirectory(prefix="hwaware-clocks-") as folder:
            stored = str(Path(folder) / "clocks")
            _hold(command, stored, told, held)
        status = 0
    finally:
        os._exit(status)


def _hold(command: Sequence[str], stored: str, told: int, held: int) -> None:
    if not _runs([*command, "--store", stored]):
        os.write(told, f"{TOOL} --store failed".encode())
        return
    try:
        fixed = _runs(command)
        os.write(told, _DONE if fixed else f"{TOOL} failed".encode())
        os.close(told)
        if fixed:
            os.read(held, 1)  # nobody writes: this ends when the agent does
    finally:
        _runs([*command, "--restore", stored])
