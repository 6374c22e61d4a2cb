"""A phone for the real adb: speaks its protocol on the loopback and really runs what it is sent."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO

from tests.adb.commands import AndroidCommands
from tests.adb.connection import Connection
from tests.adb.shell import serve_exec, serve_shell_v2, serve_terminal
from tests.adb.stream import Stream
from tests.adb.sync import serve_sync

_Stdio = int | IO[bytes] | socket.socket


class Phone:
    """A listening phone.

    With `shell_v2` among its `features` it is a newer one, otherwise one as of before Android 7. One that does not
    `allow` the computer asks for another key for ever. `shell` runs its commands, which are found in `path`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        features: str = "shell_v2,cmd",
        allows: bool = True,
        shell: str = "/bin/sh",
        path: str | None = None,
    ) -> None:
        self.folder = folder
        self.commands = AndroidCommands(folder / "android")
        self.allows = allows
        self.awake = threading.Event()
        self.awake.set()
        self.on_storage: Callable[[bytes], bytes] = lambda data: data  # what arrives of a file's blocks
        self.version, self.most_payload = (0x01000001, 1 << 18) if "shell_v2" in features else (0x01000000, 4096)
        self.banner = f"device::ro.product.name=test;ro.product.model=Test;features={features}".encode()
        self._newer = "shell_v2" in features
        self._shell = shell
        self._environment = {
            "PATH": f"{self.commands.bin}:{path or os.environ['PATH']}",
            "HOME": "/",
            "TMPDIR": str(folder),
        }
        self._connections: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    @property
    def serial(self) -> str:
        """What adb calls it."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Switch it off: nobody listens, and nothing runs on it any more."""
        self.awake.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait(5)

    def service(self, name: bytes) -> Callable[[Stream], None] | None:
        """What serves the stream that asks for `name`."""
        kind, _, command = name.partition(b":")
        if kind == b"sync":
            return partial(serve_sync, phone=self)
        if kind == b"exec":
            return partial(serve_exec, phone=self, command=command)
        if kind == b"shell":
            return partial(serve_terminal, phone=self, command=command)
        words = kind.split(b",")
        if words[:2] == [b"shell", b"v2"] and b"raw" in words and self._newer:
            return partial(serve_shell_v2, phone=self, command=command)
        return None

    def start(self, command: bytes, stdin: _Stdio, stdout: _Stdio, stderr: _Stdio) -> subprocess.Popen[bytes]:
        """Run `command` in the phone's shell, in a session of its own."""
        process = subprocess.Popen(
            [self._shell, "-c", command],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            cwd=self.folder,
            env=self._environment,
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def _listen(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(accepted, self)
            self._connections.append(connection)
            threading.Thread(target=connection.serve, daemon=True).start()
