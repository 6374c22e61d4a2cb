"""Element types: as DLPack numbers them, and as .npy files name them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Element:
    """DLPack's `code` and `bits`, and the `.npy` descriptor; little endian, as every target is."""

    code: int
    bits: int
    npy: str

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return (self.bits + 7) // 8


_INT, _UINT, _FLOAT, _BOOL = 0, 1, 2, 6
ELEMENTS = {
    "float64": Element(_FLOAT, 64, "<f8"),
    "float32": Element(_FLOAT, 32, "<f4"),
    "float16": Element(_FLOAT, 16, "<f2"),
    "int64": Element(_INT, 64, "<i8"),
    "int32": Element(_INT, 32, "<i4"),
    "int16": Element(_INT, 16, "<i2"),
    "int8": Element(_INT, 8, "|i1"),
    "uint8": Element(_UINT, 8, "|u1"),
    "bool": Element(_BOOL, 8, "|b1"),
}


def bytes_of(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor."""
    return math.prod(shape) * ELEMENTS[dtype].bytes
