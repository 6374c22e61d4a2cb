"""One service's bytes over an ADB connection, both ways."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from tests.adb.wire import Packet

_CLOSE_S = 10.0


class Stream:
    """Each side sends a packet only once the other has said that it took the last one.

    `arrive`, `acknowledge` and `end` are the connection's to call, the others the service's.
    """

    def __init__(self, send: Callable[[Packet], None], ours: int, theirs: int, most: int) -> None:
        self.ours = ours
        self._send = send
        self._theirs = theirs
        self._most = most
        self._changed = threading.Condition()
        self._arrived: deque[bytes] = deque()
        self._rest = b""
        self._may_send = True
        self._closed = False

    def arrive(self, data: bytes) -> None:
        """The other side sent `data`."""
        with self._changed:
            self._arrived.append(data)
            self._changed.notify_all()

    def acknowledge(self) -> None:
        """The other side took the last packet."""
        with self._changed:
            self._may_send = True
            self._changed.notify_all()

    def end(self) -> None:
        """The other side has closed, or is gone."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def read(self) -> bytes:
        """The next block, empty at the end."""
        if self._rest:
            data, self._rest = self._rest, b""
            return data
        with self._changed:
            self._changed.wait_for(lambda: bool(self._arrived) or self._closed)
            if not self._arrived:
                return b""
            data = self._arrived.popleft()
        self._send(Packet(b"OKAY", self.ours, self._theirs))
        return data

    def read_exactly(self, size: int) -> bytes:
        """`size` bytes. Raises EOFError where there are no more."""
        data, self._rest = self._rest, b""
        while len(data) < size:
            block = self.read()
            if not block:
                raise EOFError
            data += block
        data, self._rest = data[:size], data[size:]
        return data

    def write(self, data: bytes) -> None:
        """Send all of `data`. Raises BrokenPipeError once the other side has closed."""
        for start in range(0, len(data), self._most):
            with self._changed:
                self._changed.wait_for(lambda: self._may_send or self._closed)
                if self._closed:
                    raise BrokenPipeError
                self._may_send = False
            self._send(Packet(b"WRTE", self.ours, self._theirs, data[start : start + self._most]))

    def close(self) -> None:
        """End the stream once all has been taken; a second call does nothing."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_send or self._closed, _CLOSE_S)
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        self._send(Packet(b"CLSE", self.ours, self._theirs))
