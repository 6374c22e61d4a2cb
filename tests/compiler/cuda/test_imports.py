"""Device code takes the place of its source in what a library carries, and nothing else changes."""

from __future__ import annotations

import struct

import pytest

from hwaware.compiler.cuda.imports import with_binary
from hwaware.errors import BuildError

TREE = struct.pack("<3Q", 2, 0, 1) + struct.pack("<2Q", 1, 1)
SOURCE, BINARY = b'extern "C" __global__ void f() {}', b"\x50\xed\x55\xba code"
FUNCTIONS = struct.pack("<2Q", 1, 6) + b"f_kern" + b"anything"


def string(content: bytes) -> bytes:
    return struct.pack("<Q", len(content)) + content


def cuda(code: bytes, form: bytes = b"cuda") -> bytes:
    """A CUDA module: its kind, then its bytes."""
    return string(b"cuda") + string(string(form) + FUNCTIONS + string(code))


def blob(*modules: bytes) -> bytes:
    body = TREE + string(b"_lib") + b"".join(modules)
    return struct.pack("<Q", len(body)) + body


def test_source_becomes_a_binary() -> None:
    assert with_binary(blob(cuda(SOURCE)), SOURCE, BINARY) == blob(cuda(BINARY, b"fatbin"))


def test_other_modules_stay_as_they_are() -> None:
    other = string(b"static_library") + string(b"its own bytes")
    before, after = (blob(other, module, other) for module in (cuda(SOURCE), cuda(BINARY, b"fatbin")))
    assert with_binary(before, SOURCE, BINARY) == after


@pytest.mark.parametrize(
    "content",
    [
        b"",
        blob(),
        blob(cuda(SOURCE), cuda(SOURCE)),
        blob(cuda(b"another source")),
        blob(cuda(SOURCE, b"ptx")),
        blob(cuda(SOURCE)) + b"more",
    ],
)
def test_other_forms_are_refused(content: bytes) -> None:
    with pytest.raises(BuildError, match=r"install TVM 0\.27"):
        with_binary(content, SOURCE, BINARY)


def test_every_cut_is_refused() -> None:
    whole = blob(cuda(SOURCE))
    for length in range(8, len(whole)):
        cut = struct.pack("<Q", length - 8) + whole[8:length]
        with pytest.raises(BuildError, match=r"install TVM 0\.27"):
            with_binary(cut, SOURCE, BINARY)
