"""ADB's packets: a header of six little-endian words, then the payload."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass

_HEADER = struct.Struct("<4s5I")
_MOST_PAYLOAD = 1 << 20
_WORD = 0xFFFFFFFF


@dataclass(frozen=True)
class Packet:
    """A command of four letters, its two arguments and its payload."""

    command: bytes
    first: int
    second: int
    payload: bytes = b""

    def encode(self) -> bytes:
        """As it is sent; with the checksum that old servers look at."""
        checksum = sum(self.payload) & _WORD
        header = _HEADER.pack(self.command, self.first, self.second, len(self.payload), checksum, _magic(self.command))
        return header + self.payload


def read_packet(connection: socket.socket) -> Packet:
    """The next packet. Raises ConnectionError where there is none."""
    command, first, second, length, _, magic = _HEADER.unpack(_read(connection, _HEADER.size))
    if magic != _magic(command) or length > _MOST_PAYLOAD:
        raise ConnectionError("this is no ADB packet")
    return Packet(command, first, second, _read(connection, length))


def _magic(command: bytes) -> int:
    return int.from_bytes(command, "little") ^ _WORD


def _read(connection: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        block = connection.recv(size - len(data))
        if not block:
            raise ConnectionError("the adb server has gone")
        data += block
    return bytes(data)
