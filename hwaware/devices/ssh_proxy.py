"""A connection that a command carries: the `ProxyCommand` of the user's ssh configuration."""

from __future__ import annotations

import socket
import subprocess
import threading

from hwaware.devices.child import end_session


class CommandSocket(socket.socket):
    """One end of a pair of sockets, the other one is the command's input and output. Raises OSError.

    A real socket, so that its end is noticed at once: paramiko's own class spins when the command has ended. As for
    ssh, a shell reads the command. It has a session of its own: Ctrl-C is for hwaware, which still needs the connection
    to give the device back. So the command cannot ask for a password; jump hosts can (`ProxyJump`).
    """

    def __init__(self, command: str) -> None:
        near, far = socket.socketpair()
        super().__init__(fileno=near.detach())
        self._process: subprocess.Popen[bytes] | None = None
        self._ending = threading.Lock()
        with far:
            try:
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", f"exec {command}"],
                    stdin=far.fileno(),
                    stdout=far.fileno(),
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,
                )
            except OSError:
                self.close()
                raise

    def close(self) -> None:
        """End the connection and the command, which has ended when this returns."""
        super().close()
        # The connection's own thread may be doing so already.
        with self._ending:
            process, self._process = self._process, None
            if process is not None:
                end_session(process)
