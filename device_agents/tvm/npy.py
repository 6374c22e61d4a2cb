"""Tensors as .npy files, without numpy: dense, in C's order, of exactly the form that is wanted."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from device_agents.tvm.elements import ELEMENTS, bytes_of
from device_agents.tvm.faults import Fault

_MAGIC = b"\x93NUMPY"
_ALIGNMENT = 64
_LONGEST_HEADER = 1 << 16


def read(path: Path, dtype: str, shape: Sequence[int]) -> bytes:
    """The elements. Raises Fault, saying what is wrong, for a file of another form."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Fault(f"{path} cannot be read: {error.strerror}") from error
    form, start = _header(path, content)
    wanted = (ELEMENTS[dtype].npy, False, tuple(shape))
    given = (form.get("descr"), form.get("fortran_order"), form.get("shape"))
    if given != wanted:
        raise Fault(f"{path} holds {given[0]} {given[2]}, wanted is {wanted[0]} {wanted[2]} in C's order")
    if len(content) - start != bytes_of(dtype, shape):
        raise Fault(f"{path} has {len(content) - start} bytes of elements, not {bytes_of(dtype, shape)}")
    return content[start:]


def _header(path: Path, content: bytes) -> tuple[dict[str, object], int]:
    """What the header says, and where the elements begin."""
    if not content.startswith(_MAGIC) or len(content) < len(_MAGIC) + 6:
        raise Fault(f"{path} is no .npy file")
    start = len(_MAGIC) + 2
    width = 2 if content[len(_MAGIC)] == 1 else 4
    length = int.from_bytes(content[start : start + width], "little")
    end = start + width + length
    if length > _LONGEST_HEADER or end > len(content):
        raise Fault(f"{path} is cut short")
    try:
        form = ast.literal_eval(content[start + width : end].decode("latin-1"))
    except (ValueError, SyntaxError, MemoryError, RecursionError) as error:
        raise Fault(f"{path} has a header that cannot be read") from error
    if not isinstance(form, dict):
        raise Fault(f"{path} has a header that cannot be read")
    return form, end


def write(path: Path, dtype: str, shape: Sequence[int], content: bytes) -> None:
    """Write a file. Raises Fault where that cannot be."""
    form = {"descr": ELEMENTS[dtype].npy, "fortran_order": False, "shape": tuple(shape)}
    text = repr(form).encode()
    start = len(_MAGIC) + 4
    text += b" " * (-(start + len(text) + 1) % _ALIGNMENT) + b"\n"
    try:
        path.write_bytes(_MAGIC + b"\x01\x00" + len(text).to_bytes(2, "little") + text + content)
    except OSError as error:
        raise Fault(f"{path} cannot be written: {error.strerror}") from error
