"""The `adb` program of this machine, asked about one device by its serial.

Which server it talks to is the user's choice, made in the environment (ANDROID_ADB_SERVER_PORT, ADB_SERVER_SOCKET).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from typing import IO

from hwaware.devices.adb_errors import AGAIN, PASSING, READY, Attached, not_installed, server_failed, unusable
from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.output import one_line
from hwaware.errors import DeviceError

_MOST_BYTES = 1 << 20
_POLL_S = 0.2
_CHECK = f"check its cable, {AGAIN}"
_PORT = f"another program may hold its port; end that, or choose another port with ANDROID_ADB_SERVER_PORT, {AGAIN}"
_ATTACHED = re.compile(r"^([^\t\n]{1,128})\t([^\t\n]{1,300})$", re.MULTILINE)


@dataclass(frozen=True)
class AdbLimits:
    """Seconds each step may take; `transfer` is the longest silence while a file is copied.

    `slowest` is the least speed of a link that works, in bytes a second: what lies in the buffers of this machine is
    waited for accordingly.
    """

    server: float = 30.0
    answer: float = 15.0
    settle: float = 5.0  # a device that is just connecting
    start: float = 30.0  # until a command has begun
    transfer: float = 60.0
    slowest: float = 1 << 18


@dataclass(frozen=True)
class _Answer:
    status: int
    stdout: str
    stderr: str


class AdbClient:
    """`adb -s SERIAL` for the device `name`; several threads may use it at once.

    `separate_streams`: its shell keeps stdout and stderr apart (Android 7 and later).
    """

    def __init__(self, name: str, serial: str, limits: AdbLimits) -> None:
        program = shutil.which("adb")
        if program is None:
            raise not_installed(name)
        self.name = name
        self.serial = serial
        self.limits = limits
        self._program = program
        self._start_server()
        self._check()
        self.separate_streams = "shell_v2" in self._features()

    def start(self, step: str, *words: str | bytes, terminal: int | None = None) -> subprocess.Popen[bytes]:
        """Begin `adb -s SERIAL WORDS...` in a session of its own, with pipes for its output or with `terminal`.

        `terminal` is the file descriptor of one: there adb shows progress, and loses no error message.
        """
        output = subprocess.PIPE if terminal is None else terminal
        environment = None if terminal is None else {**os.environ, "TERM": "vt100"}
        try:
            return subprocess.Popen(
                [self._program, "-s", self.serial, *words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env=environment,
            )
        except OSError as error:
            raise self._cannot_run(step, error) from error

    def failure(self, step: str, said: str) -> DeviceError:
        """The error of `step`, which adb did not carry through; `said` are its last words."""
        states = [state for serial, state in self._attached() if serial == self.serial]
        if states == [READY]:
            shell = f"adb -s {self.serial} shell"
            reason = said or "adb said nothing"
            return DeviceError(f"device {self.name}: {step} failed: {reason}; see whether `{shell}` works")
        now = f"it is {one_line(states[0], 60)} now" if states else f"adb does not see {self.serial} any more"
        return DeviceError(f"device {self.name}: the connection was lost during {step} ({now}); {_CHECK}")

    def timed_out(self, step: str, seconds: float) -> DeviceTimeoutError:
        """The error of `step`, which took more than `seconds` or was silent for so long."""
        return DeviceTimeoutError(self.name, step, seconds, f"it was stopped; {_CHECK}")

    def _start_server(self) -> None:
        step = "starting the adb server"
        try:
            answer = self._ask(step, self.limits.server, "start-server")
        except subprocess.TimeoutExpired as error:
            raise DeviceTimeoutError(self.name, step, self.limits.server, _PORT) from error
        if answer.status != 0:
            raise server_failed(self.name, answer.stderr)

    def _check(self) -> None:
        """Raise DeviceError unless the device can be used; one that is just connecting has a moment to do so."""
        deadline = time.monotonic() + self.limits.settle
        while True:
            attached = self._attached()
            states = [state for serial, state in attached if serial == self.serial]
            if states == [READY]:
                return
            if not PASSING.intersection(states) or time.monotonic() > deadline:
                raise unusable(self.name, self.serial, attached)
            time.sleep(_POLL_S)

    def _attached(self) -> Attached:
        """The devices that adb sees."""
        step = "asking adb for its devices"
        try:
            answer = self._ask(step, self.limits.answer, "devices")
        except subprocess.TimeoutExpired as error:
            raise DeviceTimeoutError(self.name, step, self.limits.answer, _PORT) from error
        if answer.status != 0:
            raise server_failed(self.name, answer.stderr)
        return [(found[1], found[2]) for found in _ATTACHED.finditer(answer.stdout)]

    def _features(self) -> list[str]:
        step = "asking the device for its features"
        try:
            answer = self._ask(step, self.limits.answer, "-s", self.serial, "features")
        except subprocess.TimeoutExpired as error:
            raise self.timed_out(step, self.limits.answer) from error
        if answer.status != 0:
            raise self.failure(step, one_line(answer.stderr))
        return answer.stdout.split()

    def _ask(self, step: str, seconds: float, *words: str) -> _Answer:
        """Run a short `adb WORDS...`. Raises subprocess.TimeoutExpired."""
        # Files and not pipes: a server that adb starts on the way might keep a pipe open for ever.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            try:
                done = subprocess.run(
                    [self._program, *words],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    timeout=seconds,
                    start_new_session=True,
                    check=False,
                )
            except OSError as error:
                raise self._cannot_run(step, error) from error
            return _Answer(done.returncode, _text(out), _text(err))

    def _cannot_run(self, step: str, error: OSError) -> DeviceError:
        return DeviceError(
            f"device {self.name}: {step} failed: cannot run {self._program}: {error.strerror}; "
            "`hwaware doctor` tells the command that installs adb"
        )


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read(_MOST_BYTES).decode(errors="replace")
