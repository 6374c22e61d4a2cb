"""A real adb server of the tests' own: own port, own keys, ended with the tests."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.adb.phone import Phone
from tests.requirements import need

_ADB_S = 60.0
# The user's own choice of a server or device is not the tests'.
CHOICES = ("ADB_SERVER_SOCKET", "ANDROID_ADB_SERVER_ADDRESS", "ANDROID_SERIAL", "ADB_TRACE", "ADB_VENDOR_KEYS")


@dataclass(frozen=True)
class AdbServer:
    """A running server; clients find it by ANDROID_ADB_SERVER_PORT. Its keys and log are in `folder`."""

    program: str
    folder: Path
    port: int

    def run(self, *words: str) -> str:
        """stdout of `adb WORDS...`."""
        environment = {name: value for name, value in os.environ.items() if name not in CHOICES} | {
            "ANDROID_ADB_SERVER_PORT": str(self.port),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "ADB_LOCAL_TRANSPORT_MAX_PORT": "1",  # look for no emulators
        }
        done = subprocess.run(
            [self.program, *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ADB_S,
            env=environment,
            check=False,
        )
        return done.stdout.decode(errors="replace")

    @contextmanager
    def attached(self, phone: Phone) -> Iterator[Phone]:
        """Connected with `phone`, as far as that lets it, until the end."""
        self.run("connect", phone.serial)
        wanted = "device" if phone.allows else "unauthorized"
        deadline = time.monotonic() + 20
        while f"{phone.serial}\t{wanted}\n" not in self.run("devices"):
            assert time.monotonic() < deadline, self.run("devices")
            time.sleep(0.05)
        try:
            yield phone
        finally:
            self.run("disconnect", phone.serial)
            phone.stop()

    def stop(self) -> None:
        """End it."""
        self.run("kill-server")


def start_adb_server(folder: Path) -> AdbServer:
    """Start a server whose files are in `folder`."""
    server = AdbServer(need("adb", package="adb"), folder, free_port())
    server.run("start-server")
    return server


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
