"""This machine as a device: commands in a session of their own, files by plain copy."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hwaware.devices.child import Expired, drain, end_session
from hwaware.devices.link import Completed, DeviceTimeoutError, OnLine
from hwaware.devices.output import OutputCollector, one_line
from hwaware.errors import DeviceError


class LocalLink:
    """Link to this machine; see Link for what the methods promise."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        return self._name

    def run(self, argv: Sequence[str], *, timeout: float, on_line: OnLine | None = None) -> Completed:
        collector = OutputCollector(self._name, on_line)
        deadline = time.monotonic() + timeout
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise DeviceError(f"device {self._name}: cannot run {one_line(argv[0])}: {error.strerror}") from error
        assert process.stdout is not None
        assert process.stderr is not None
        with process:
            try:
                drain(
                    ((process.stdout, collector.feed_stdout), (process.stderr, collector.feed_stderr)),
                    lambda: deadline - time.monotonic(),
                )
                process.wait(max(0.0, deadline - time.monotonic()))
            except (Expired, subprocess.TimeoutExpired) as error:
                end_session(process)
                raise DeviceTimeoutError(
                    self._name,
                    f"the command {one_line(Path(argv[0]).name)}",
                    timeout,
                    "it was killed; try again on an idle machine",
                ) from error
            except BaseException:
                end_session(process)
                raise
        stdout, stderr = collector.finish()
        return Completed(tuple(argv), process.returncode, stdout, stderr)

    def send(self, local: Path, remote: str) -> None:
        self._copy(local, Path(remote))

    def receive(self, remote: str, local: Path) -> None:
        self._copy(Path(remote), local)

    def close(self) -> None:
        """Nothing is held open."""

    def _copy(self, source: Path, target: Path) -> None:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            names = f"{one_line(str(source))} to {one_line(str(target))}"
            raise DeviceError(f"device {self._name}: cannot copy {names}: {error.strerror}") from error
