"""An SSH server that asks: for passwords, for codes, for a key and a code.

OpenSSH checks passwords of real accounts only, so this one is paramiko's own server, over a real connection.
"""

from __future__ import annotations

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL, OPEN_SUCCEEDED
from paramiko.server import InteractiveQuery

from hwaware.devices.ssh_hop import SshHop

WORD = "open sesame"
CODE = "123456"


@dataclass
class AskingServer:
    """`methods` are offered; with a `key` it is the first of two steps. `tried` collects what was answered."""

    methods: tuple[str, ...]
    questions: tuple[tuple[str, bool], ...] = (("Password: ", False), ("Code: ", True))
    key: paramiko.PKey | None = None
    port: int = 0
    tried: list[str] = field(default_factory=list)

    @property
    def hop(self) -> SshHop:
        return SshHop("pi", "127.0.0.1", self.port)


@contextmanager
def asking_server(*methods: str, **settings: object) -> Iterator[AskingServer]:
    """A running server, for as long as the context."""
    server = AskingServer(methods, **settings)  # type: ignore[arg-type]
    host_key = paramiko.ECDSAKey.generate()
    connections: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(connection)
                transport.add_server_key(host_key)
                connections.append(transport)
                transport.start_server(event=threading.Event(), server=_Guard(server))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)
            for transport in connections:
                transport.close()


class _Guard(paramiko.ServerInterface):
    """One login."""

    def __init__(self, server: AskingServer) -> None:
        self._server = server
        self._methods = server.methods if server.key is None else ("publickey",)

    def get_allowed_auths(self, username: str) -> str:
        return ",".join(self._methods)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        if key != self._server.key:
            return AUTH_FAILED
        self._methods = self._server.methods
        return AUTH_PARTIALLY_SUCCESSFUL

    def check_auth_password(self, username: str, password: str) -> int:
        self._server.tried.append(password)
        return AUTH_SUCCESSFUL if password == WORD else AUTH_FAILED

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        return InteractiveQuery("", "Two steps.", *self._server.questions)

    def check_auth_interactive_response(self, responses: list[str]) -> int | InteractiveQuery:
        self._server.tried += responses
        return AUTH_SUCCESSFUL if responses == [WORD, CODE] else AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        def run() -> None:
            done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            channel.sendall(done.stdout)
            channel.send_exit_status(done.returncode)
            channel.close()

        # A moment later: the channel must not be closed before the answer to this request has gone out.
        timer = threading.Timer(0.1, run)
        timer.daemon = True
        timer.start()
        return True
