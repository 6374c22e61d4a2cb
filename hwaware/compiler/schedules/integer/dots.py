"""How processors multiply 8-bit integers: products of a few neighbouring input channels added up in int32 lanes.

A step takes `depth` input channels of one position, repeated over all lanes, and `depth` weights a lane. Every way is
exact: no sum of 16 bits can overflow on the way, as is shown beside each that has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx
from tvm.tirx import Shuffle

from hwaware.compiler.tir import Expr, cast, const

Vectors = tuple[Expr, ...]
Levels = Sequence[Expr | None]
# (offset, count) -> `count` neighbouring elements from `offset` on.
Read = Callable[[int, int], Expr]
# (positions, vectors) -> how many of something a tile takes.
OfTile = Callable[[int, int], int]

# No vector of sums is narrower than what processors' instructions take.
LEAST_LANES = 4
# XOR of a word with this takes 128 off each of its four bytes, and makes them signed.
_SIGNS = -0x7F7F7F80
_WORD = 4  # bytes


def _as_they_are(weights: np.ndarray) -> np.ndarray:
    return weights


@dataclass(frozen=True)
class Dot:
    """One way.

    `inputs(levels, step, lanes)` turns `depth` channels into vectors: those of step `step` of the `levels` of each of
    the positions that are multiplied `together`, None where there is none. `weights(read, lanes)` reads
    `depth` · `lanes` int8 weights, which lie as `order` leaves an array (…, lane, channel) of them.
    `add(sum, inputs, weights, lanes)` is the sum and the products.

    One load brings a position's channels for `ahead` steps. `offset` is subtracted from each input, which makes it
    signed. A tile of so many positions and vectors of output channels takes `registers`, and each of its steps
    `instructions` beside loads; `room` are the registers there are where code in float32 is left fewer.
    """

    depth: int
    inputs: Callable[[Levels, int, int], Vectors]
    weights: Callable[[Read, int], Vectors]
    add: Callable[[Expr, Vectors, Vectors, int], Expr]
    registers: OfTile
    instructions: OfTile
    order: Callable[[np.ndarray], np.ndarray] = _as_they_are
    together: int = 1
    ahead: int = 1
    offset: int = 0
    room: int = 0

    def levels(self, read: Read, count: int) -> Expr:
        """`count` neighbouring uint8 less the offset, four an int32 of a vector; zeros fill the last step."""
        if self.depth == 1:
            return cast("int32", read(0, 1))
        words = -(-count // self.depth) * self.depth // _WORD
        if words == 1:
            bits = _word(read, 0, count)
        elif count == words * _WORD:
            bits = tirx.reinterpret(kind("int32", words), read(0, count))
        else:
            parts = [_word(read, _WORD * index, count) for index in range(words)]
            bits = Shuffle(parts, [tirx.const(index, "int32") for index in range(words)])
        return tirx.bitwise_xor(bits, const(_SIGNS, words, "int32")) if self.offset else bits


def kind(dtype: str, lanes: int) -> str:
    """The type of `lanes` numbers."""
    return f"{dtype}x{lanes}" if lanes > 1 else dtype


def lanes_of(value: Expr) -> int:
    """How many numbers it has."""
    return int(value.ty.dtype.lanes)


def intrinsic(dtype: str, lanes: int, name: str, *args: Expr) -> Expr:
    """An instruction by LLVM's name of it."""
    return tirx.call_llvm_pure_intrin(kind(dtype, lanes), f"llvm.{name}", *args)


def _word(read: Read, first: int, count: int) -> Expr:
    """The bytes of `count` from `first` on as one integer; those beyond are 0."""
    if count - first >= _WORD:
        return tirx.reinterpret("int32", read(first, _WORD))
    total = tirx.const(0, "int32")
    for index in range(max(0, count - first)):
        byte = cast("int32", read(first + index, 1))
        total = tirx.bitwise_or(total, tirx.shift_left(byte, tirx.const(8 * index, "int32")))
    return total
