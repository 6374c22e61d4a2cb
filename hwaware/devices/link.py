"""What a way to a device must be able to do; `local`, `ssh` and `adb` differ in nothing else.

Everything on top (cache folder, checked uploads, lease) is written once, against this, in POSIX shell.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hwaware.errors import DeviceError

OnLine = Callable[[str], None]


class DeviceTimeoutError(DeviceError):
    """One step took longer than its limit. `device` and `step` say which, `seconds` the limit."""

    def __init__(self, device: str, step: str, seconds: float, advice: str) -> None:
        super().__init__(f"device {device}: {step} took more than {seconds:g} s; {advice}")
        self.device = device
        self.step = step
        self.seconds = seconds


@dataclass(frozen=True)
class Completed:
    """A command that has ended by itself.

    `returncode` is negative if a signal ended it: minus its number (over SSH always -1; over ADB, where a shell tells
    it, a status from 129 to 192 that a command gives itself counts as a signal too). `stderr` is the last MiB.
    """

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class Link(Protocol):
    """Runs commands on one device and copies files to and from it."""

    @property
    def name(self) -> str:
        """The device's name, for messages."""

    def run(self, argv: Sequence[str], *, timeout: float, on_line: OnLine | None = None) -> Completed:
        """Run `argv` (no shell reads it) with an empty stdin; both output streams are drained all the time.

        `on_line` gets each line of stdout as it arrives. After `timeout` seconds (DeviceTimeoutError), on
        KeyboardInterrupt, on output beyond the limits (AgentError) and whenever `on_line` raises, the command
        and its children on the device are killed. Raises DeviceError if the device is lost.
        """

    def send(self, local: Path, remote: str) -> None:
        """Copy the file `local` to the absolute path `remote`; may leave a part of it behind on an error."""

    def receive(self, remote: str, local: Path) -> None:
        """Copy the file `remote` to `local`; may leave a part of it behind on an error."""

    def close(self) -> None:
        """End the connection; a second call does nothing."""
