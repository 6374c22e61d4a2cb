"""This machine as a device: commands in a session of their own, files by plain copy."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from hwaware.devices.link import Completed, DeviceTimeoutError, OnLine
from hwaware.devices.output import OutputCollector, one_line
from hwaware.errors import DeviceError

_READ_BYTES = 1 << 16
_GRACE_S = 2.0


class _Expired(Exception):
    """The command's time is up (not TimeoutError: the caller's `on_line` may raise that one)."""


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
        with process:
            try:
                self._pump(process, collector, deadline)
                process.wait(max(0.0, deadline - time.monotonic()))
            except (_Expired, subprocess.TimeoutExpired) as error:
                _stop(process)
                raise DeviceTimeoutError(
                    self._name,
                    f"the command {one_line(Path(argv[0]).name)}",
                    timeout,
                    "it was killed; try again on an idle machine",
                ) from error
            except BaseException:
                _stop(process)
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

    def _pump(self, process: subprocess.Popen[bytes], collector: OutputCollector, deadline: float) -> None:
        """Feed both streams to `collector` until both end; raises _Expired past `deadline`."""
        with selectors.DefaultSelector() as selector:
            for stream, feed in (
                (process.stdout, collector.feed_stdout),
                (process.stderr, collector.feed_stderr),
            ):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ, feed)
            while selector.get_map():
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise _Expired
                for key, _ in selector.select(remaining):
                    data = os.read(key.fd, _READ_BYTES)
                    if data:
                        key.data(data)
                    else:
                        selector.unregister(key.fileobj)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the command and every process of its session: politely first, as agents restore clock settings."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
        return
    # The leader is gone; whatever it forked and left behind goes too.
    _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: signal.Signals) -> None:
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return  # all of them have ended
