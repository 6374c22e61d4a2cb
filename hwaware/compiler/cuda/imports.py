"""The modules that a TVM library carries in itself, with device code in the place of its source.

Where no CUDA driver is installed TVM cannot compile device code and packs the source, for a compiler that boards do
not have. The packed form (tvm_ffi, library_module.cc): the length of all that follows, the import tree as two vectors,
then each module's kind and, but for ``_lib``, its bytes; those of a CUDA module are the format of its code, a table of
functions, and the code. Numbers are 64 bits, little endian; vectors, strings and bytes begin with their length.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import Any

from hwaware.errors import BuildError

SYMBOL = "__tvm_ffi__library_bin"
SOURCE, FATBIN = b"cuda", b"fatbin"
_LIBRARY, _KIND = b"_lib", b"cuda"
_BYTE = re.compile(r"0x([0-9a-fA-F]{1,2})")
_LENGTH = struct.Struct("<Q")


def packed_imports(module: Any) -> bytes:
    """What TVM packs for a compiled module's imports."""
    from tvm.runtime import _ffi_api

    text = str(_ffi_api.ModulePackImportsToC(module, False, ""))
    _, _, body = text.partition("= {")
    return bytes(int(byte, 16) for byte in _BYTE.findall(body.partition("}")[0]))


def with_binary(blob: bytes, source: bytes, binary: bytes) -> bytes:
    """`blob` with the fatbin `binary` in place of the one CUDA `source`. Raises BuildError for any other form."""
    tree, modules = _split(blob)
    sources = [index for index, (kind, _) in enumerate(modules) if kind == _KIND]
    if len(sources) != 1:
        raise _unknown(f"it has {len(sources)} CUDA modules")
    content = modules[sources[0]][1]
    head, tail = _string(SOURCE), _string(source)
    if content is None or not content.startswith(head) or not content.endswith(tail):
        raise _unknown("its CUDA module does not hold the source")
    functions = content[len(head) : len(content) - len(tail)]
    modules[sources[0]] = (_KIND, _string(FATBIN) + functions + _string(binary))
    body = tree + b"".join(_string(kind) + (b"" if content is None else _string(content)) for kind, content in modules)
    return _LENGTH.pack(len(body)) + body


def _split(blob: bytes) -> tuple[bytes, list[tuple[bytes, bytes | None]]]:
    """The import tree as it is, and each module's kind and bytes."""
    if len(blob) < _LENGTH.size or _LENGTH.unpack_from(blob)[0] != len(blob) - _LENGTH.size:
        raise _unknown("its length is not what it says")
    at = _LENGTH.size
    for _ in range(2):
        count = _take(blob, at)
        at += _LENGTH.size * (1 + count)
    tree = blob[_LENGTH.size : at]
    return tree, list(_modules(blob, at))


def _modules(blob: bytes, at: int) -> Iterator[tuple[bytes, bytes | None]]:
    while at < len(blob):
        kind, at = _read(blob, at)
        if kind == _LIBRARY:
            yield kind, None
            continue
        content, at = _read(blob, at)
        yield kind, content


def _take(blob: bytes, at: int) -> int:
    if at + _LENGTH.size > len(blob):
        raise _unknown("it ends too soon")
    return int(_LENGTH.unpack_from(blob, at)[0])


def _read(blob: bytes, at: int) -> tuple[bytes, int]:
    """A string or bytes at `at`, and where the next thing begins."""
    length = _take(blob, at)
    start = at + _LENGTH.size
    if start + length > len(blob):
        raise _unknown("it ends too soon")
    return blob[start : start + length], start + length


def _string(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _unknown(why: str) -> BuildError:
    return BuildError(f"TVM packed the GPU's code in a form that is not known here ({why}); install TVM 0.27")
