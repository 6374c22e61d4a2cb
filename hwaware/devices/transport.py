"""All that hwaware does with a device, over any link: run, push, pull, and hold it alone."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hwaware.devices.cache import choose_cache
from hwaware.devices.lease import Lease, leased
from hwaware.devices.link import Completed, Link, OnLine
from hwaware.devices.room import make_room
from hwaware.devices.uploads import size_of, upload_file, upload_program
from hwaware.errors import DeviceBusyError, DeviceError

_WORK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_SCRIPT_S = 120.0

# Only folders named by a SHA-256 are uploads; a `cache` the user chose may hold other things.
_CLEAN = """
if [ -d "$1/lease" ]; then echo busy; exit 0; fi
for folder in "$1"/*; do
    name=${folder##*/}
    case $name in *[!0-9a-f]*) continue ;; esac
    if [ "${#name}" -eq 64 ]; then rm -rf "$folder" && echo removed; fi
done
exit 0
"""


class Transport:
    """One connection to one device. `cache_candidates` are folders on the device, in order of preference."""

    def __init__(self, link: Link, cache_candidates: Sequence[str]) -> None:
        self._link = link
        self._candidates = tuple(cache_candidates)
        self._cache: str | None = None
        self._lease: Lease | None = None
        self._used: set[str] = set()

    @property
    def name(self) -> str:
        """The device's name."""
        return self._link.name

    @property
    def cache(self) -> str:
        """hwaware's folder on the device (absolute); chosen, and made, at the first use."""
        if self._cache is None:
            self._cache = choose_cache(self._link, self._candidates)
        return self._cache

    def run(self, argv: Sequence[str], *, timeout: float, on_line: OnLine | None = None) -> Completed:
        """Run `argv` on the device for at most `timeout` seconds.

        `on_line` gets each line of stdout as it arrives. However this ends, the command does not outlive it.
        Raises DeviceTimeoutError, AgentError (output beyond the limits) or DeviceError; an exit status other
        than 0 raises nothing.
        """
        if not argv or any("\0" in word for word in argv):
            raise DeviceError(f"device {self.name}: a command needs words without NUL bytes")
        if self._lease is not None:
            self._lease.check()
        return self._link.run(argv, timeout=timeout, on_line=on_line)

    def push(self, path: Path) -> str:
        """Upload the program `path` unless the device has it already; returns where it is there."""
        remote = upload_program(self._link, path, self.cache, self._make_room)
        self._used.add(remote.split("/")[-2])
        return remote

    @property
    def work(self) -> str:
        """The folder on the device that goes with the lease."""
        if self._lease is None:
            raise DeviceError(f"device {self.name}: work files need the device's lease")
        return self._lease.work

    def work_path(self, name: str) -> str:
        """Path of a file called `name` in the folder that goes with the lease."""
        folder = self.work
        if not _WORK_NAME.fullmatch(name):
            raise DeviceError(f"bad work file name {name!r}: 1 to 100 of A-Z a-z 0-9 . _ -")
        return f"{folder}/{name}"

    def push_file(self, path: Path, name: str, *, program: bool = False) -> str:
        """Upload `path` as `name` into the lease's folder; returns its path there.

        It goes with the lease, whoever ends that: for what is used once. A `program` may be run.
        """
        remote = self.work_path(name)
        self._make_room(path)
        upload_file(self._link, path, remote, mode="700" if program else "600")
        return remote

    def _make_room(self, path: Path) -> None:
        token = self._lease.token if self._lease is not None else ""
        make_room(self._link, self.cache, path.name, size_of(path), token=token, keep=self._used)

    def pull(self, remote: str, local: Path) -> None:
        """Copy the device's file `remote` to `local`, whole or not at all."""
        try:
            descriptor, temporary = tempfile.mkstemp(prefix=f".{local.name}.", dir=local.parent)
        except OSError as error:
            raise DeviceError(f"cannot write {local}: {error.strerror}") from error
        os.close(descriptor)
        try:
            self._link.receive(remote, Path(temporary))
            os.replace(temporary, local)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)  # `adb pull` has removed it already
            raise

    @contextmanager
    def lease(self, wait: float = 0.0, on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold the device alone; inside another `lease` of the same transport it is held already.

        Waits up to `wait` seconds for another user (`on_wait` is told whom), then raises DeviceBusyError.
        """
        if self._lease is not None:
            yield
            return
        with leased(self._link, self.cache, wait, on_wait) as lease:
            self._lease = lease
            try:
                yield
            finally:
                self._lease = None

    def clean(self) -> int:
        """Remove all uploaded programs from the device; returns how many. Refused while it is in use."""
        done = self.run(["sh", "-c", _CLEAN, "hwaware", self.cache], timeout=_SCRIPT_S)
        if done.stdout.strip() == "busy":
            raise DeviceBusyError(f"device {self.name} is in use; clean it when that has ended")
        return done.stdout.split().count("removed")

    def close(self) -> None:
        """End the connection."""
        self._link.close()
