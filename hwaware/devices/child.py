"""Child processes of this machine: their output drained within a limit, their whole session ended."""

from __future__ import annotations

import errno
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterable
from typing import IO

_READ_BYTES = 1 << 16
_GRACE_S = 2.0

Feed = Callable[[bytes], None]


class Expired(Exception):
    """The time is up (not TimeoutError: the caller's `on_line` may raise that one)."""


def drain(streams: Iterable[tuple[IO[bytes] | int, Feed]], remaining: Callable[[], float]) -> None:
    """Feed what arrives on each stream until all have ended.

    Raises Expired once `remaining()`, in seconds, is not above zero; it is asked before each wait.
    """
    with selectors.DefaultSelector() as selector:
        for stream, feed in streams:
            selector.register(stream, selectors.EVENT_READ, feed)
        while selector.get_map():
            left = remaining()
            if left <= 0:
                raise Expired
            for key, _ in selector.select(left):
                data = _read(key.fd)
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fileobj)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _READ_BYTES)
    except OSError as error:
        if error.errno == errno.EIO:
            return b""  # how a pseudo-terminal says that nobody writes to it any more
        raise


def end_session(process: subprocess.Popen[bytes]) -> None:
    """End a child that leads a session and all of that session: politely first, as agents restore clock settings."""
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
