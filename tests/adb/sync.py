"""The phone's file service, in its first version: STAT, LIST, SEND, RECV, QUIT."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from tests.adb.stream import Stream

if TYPE_CHECKING:
    from tests.adb.phone import Phone

_BLOCK_BYTES = 1 << 16
_WORD = 0xFFFFFFFF


def serve_sync(stream: Stream, phone: Phone) -> None:
    """Answer requests until QUIT."""
    while True:
        kind, size = _head(stream)
        path = stream.read_exactly(size)
        if kind == b"QUIT":
            return
        _SERVICES[kind](stream, path, phone)


def _head(stream: Stream) -> tuple[bytes, int]:
    kind, size = struct.unpack("<4sI", stream.read_exactly(8))
    return kind, size


def _state(path: bytes) -> bytes:
    """Mode, size and time of change; zeros for what does not exist."""
    try:
        found = os.lstat(path)
    except OSError:
        return bytes(12)
    return struct.pack("<3I", found.st_mode, found.st_size & _WORD, int(found.st_mtime) & _WORD)


def _stat(stream: Stream, path: bytes, phone: Phone) -> None:
    stream.write(b"STAT" + _state(path))


def _list(stream: Stream, path: bytes, phone: Phone) -> None:
    try:
        names = os.listdir(path)
    except OSError:
        names = []
    for name in names:
        stream.write(b"DENT" + _state(path + b"/" + name) + struct.pack("<I", len(name)) + name)
    stream.write(b"DONE" + bytes(16))


def _fail(stream: Stream, what: str, error: OSError) -> None:
    reason = f"{what}: {error.strerror}".encode()
    stream.write(b"FAIL" + struct.pack("<I", len(reason)) + reason)


def _send(stream: Stream, request: bytes, phone: Phone) -> None:
    """Receive a file; a failure is told once all of it has come, as old clients do not listen before."""
    path, _, mode = request.rpartition(b",")
    failure: OSError | None = None
    descriptor = -1
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, int(mode) & 0o777)
    except OSError as error:
        failure = error
    while True:
        kind, size = _head(stream)
        if kind == b"DONE":
            break
        data = phone.on_storage(stream.read_exactly(size))
        try:
            while failure is None and data:
                data = data[os.write(descriptor, data) :]
        except OSError as error:
            failure = error
    if descriptor >= 0:
        os.close(descriptor)
    if failure is None:
        stream.write(b"OKAY" + bytes(4))
        return
    if descriptor >= 0:
        os.unlink(path)
    _fail(stream, "write failed" if descriptor >= 0 else "couldn't create file", failure)


def _receive(stream: Stream, path: bytes, phone: Phone) -> None:
    """Send a file."""
    try:
        with open(path, "rb") as file:
            while data := file.read(_BLOCK_BYTES):
                stream.write(b"DATA" + struct.pack("<I", len(data)) + data)
    except IsADirectoryError as error:
        _fail(stream, "read failed", error)
    except (FileNotFoundError, PermissionError) as error:
        _fail(stream, "open failed", error)
    else:
        stream.write(b"DONE" + bytes(4))


_SERVICES = {b"STAT": _stat, b"LIST": _list, b"SEND": _send, b"RECV": _receive}
