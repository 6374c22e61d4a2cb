"""The phone's side of one connection with an adb server: the greeting, then streams side by side."""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.adb.stream import Stream
from tests.adb.wire import Packet, read_packet

if TYPE_CHECKING:
    from tests.adb.phone import Phone

_TOKEN, _SIGNATURE = 1, 2


class Connection:
    """Serves one adb server until either side ends it."""

    def __init__(self, connection: socket.socket, phone: Phone) -> None:
        self._socket = connection
        self._phone = phone
        self._sending = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._numbers = itertools.count(1)
        self._most = phone.most_payload

    def serve(self) -> None:
        """Handle packets until the end."""
        try:
            while True:
                packet = read_packet(self._socket)
                self._phone.awake.wait()
                self._handle(packet)
        except OSError:
            return  # the other side has gone
        finally:
            self.close()
            for stream in list(self._streams.values()):
                stream.end()

    def close(self) -> None:
        """End it from any thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _send(self, packet: Packet) -> None:
        self._phone.awake.wait()
        with self._sending:
            self._socket.sendall(packet.encode())

    def _handle(self, packet: Packet) -> None:
        stream = self._streams.get(packet.second)
        match packet.command:
            case b"CNXN":
                self._most = min(packet.second, self._phone.most_payload)
                self._greet()
            case b"AUTH" if packet.first == _SIGNATURE:
                self._send(Packet(b"AUTH", _TOKEN, 0, os.urandom(20)))  # this key will not do, is there another?
            case b"OPEN":
                self._open(packet.first, packet.payload.rstrip(b"\0"))
            case b"OKAY" if stream is not None:
                stream.acknowledge()
            case b"WRTE" if stream is not None:
                stream.arrive(packet.payload)
            case b"CLSE" if stream is not None:
                stream.end()

    def _greet(self) -> None:
        phone = self._phone
        if phone.allows:
            self._send(Packet(b"CNXN", phone.version, phone.most_payload, phone.banner))
        else:
            self._send(Packet(b"AUTH", _TOKEN, 0, os.urandom(20)))

    def _open(self, theirs: int, name: bytes) -> None:
        service = self._phone.service(name)
        if service is None:
            self._send(Packet(b"CLSE", 0, theirs))
            return
        stream = Stream(self._send, next(self._numbers), theirs, self._most)
        self._streams[stream.ours] = stream
        self._send(Packet(b"OKAY", stream.ours, theirs))
        threading.Thread(target=self._run, args=(service, stream), daemon=True).start()

    def _run(self, service: Callable[[Stream], None], stream: Stream) -> None:
        with contextlib.suppress(OSError, EOFError):  # the other side has gone
            try:
                service(stream)
            finally:
                stream.close()
        self._streams.pop(stream.ours, None)
