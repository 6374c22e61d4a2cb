"""The shell services of a phone: commands in sessions of their own, as adbd starts them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import threading
from typing import IO, TYPE_CHECKING

from tests.adb.stream import Stream

if TYPE_CHECKING:
    from tests.adb.phone import Phone

_BLOCK_BYTES = 1 << 15
_HEAD = struct.Struct("<BI")
_STDIN, _STDOUT, _STDERR, _EXIT, _CLOSE_STDIN = range(5)


def serve_exec(stream: Stream, phone: Phone, command: bytes) -> None:
    """``exec:``: one socket is stdin, stdout and stderr; nobody is told the exit status."""
    ours, theirs = socket.socketpair()
    with ours:
        with theirs:
            process = phone.start(command, theirs, theirs, theirs)

        def feed() -> None:
            with contextlib.suppress(OSError):
                while data := stream.read():
                    ours.sendall(data)
                ours.shutdown(socket.SHUT_RDWR)

        threading.Thread(target=feed, daemon=True).start()
        while data := ours.recv(_BLOCK_BYTES):
            stream.write(data)
    stream.close()
    process.wait()


def serve_terminal(stream: Stream, phone: Phone, command: bytes) -> None:
    """``shell:``: on a terminal, which ends lines with carriage return and newline."""
    ours, theirs = os.openpty()
    try:
        process = phone.start(command, theirs, theirs, theirs)
        os.close(theirs)
        with contextlib.suppress(OSError):  # how a terminal ends
            while data := os.read(ours, _BLOCK_BYTES):
                stream.write(data)
    finally:
        os.close(ours)
    stream.close()
    process.wait()


def serve_shell_v2(stream: Stream, phone: Phone, command: bytes) -> None:
    """``shell,v2,raw:``: both streams and the exit status in packets of their own."""
    process = phone.start(command, subprocess.PIPE, subprocess.PIPE, subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    sending = threading.Lock()

    def send(kind: int, data: bytes) -> None:
        with sending:
            stream.write(_HEAD.pack(kind, len(data)) + data)

    def copy(source: IO[bytes], kind: int) -> None:
        with source, contextlib.suppress(OSError):
            while data := os.read(source.fileno(), _BLOCK_BYTES):
                send(kind, data)

    copies = [
        threading.Thread(target=copy, args=(source, kind), daemon=True)
        for source, kind in ((process.stdout, _STDOUT), (process.stderr, _STDERR))
    ]
    for thread in copies:
        thread.start()
    threading.Thread(target=_feed_v2, args=(stream, process), daemon=True).start()
    for thread in copies:
        thread.join()
    status = process.wait()
    send(_EXIT, bytes([status if status >= 0 else 128 - status]))


def _feed_v2(stream: Stream, process: subprocess.Popen[bytes]) -> None:
    """Pass stdin on; a client that vanishes is a hangup for its shell, not for that shell's children."""
    assert process.stdin is not None
    with process.stdin as stdin:
        try:
            while True:
                kind, size = _HEAD.unpack(stream.read_exactly(_HEAD.size))
                data = stream.read_exactly(size)
                if kind == _CLOSE_STDIN:
                    stdin.close()
                elif kind == _STDIN:
                    with contextlib.suppress(OSError, ValueError):
                        stdin.write(data)
                        stdin.flush()
        except (EOFError, OSError):
            process.send_signal(signal.SIGHUP)
