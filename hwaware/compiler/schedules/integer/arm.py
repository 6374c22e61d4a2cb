"""Products of 8-bit integers on ARM.

Levels less 128 are signed as weights are; `hwaware.compiler.schedules.integer.biases` puts the difference right.
"""

from __future__ import annotations

import numpy as np
from tvm import tirx
from tvm.tirx import Shuffle

from hwaware.compiler.schedules.integer.dots import Dot, Levels, Read, Vectors, intrinsic, kind, lanes_of
from hwaware.compiler.tir import Expr, integer, splat
from hwaware.errors import BuildError

_OFFSET = 128
_LEAST = -128


def _repeated(dtype: str, levels: Levels, step: int) -> Expr:
    """Four channels in each lane, where multiplications take one lane of a vector for all."""
    (words,) = levels
    word = Shuffle([words], [integer(step)]) if lanes_of(words) > 1 else words
    return tirx.reinterpret(kind(dtype, 16), splat(word, 4))


def _pairs(levels: Levels, step: int, _lanes: int) -> Vectors:
    """Channels 0 and 1, and 2 and 3, each pair repeated."""
    (words,) = levels
    halves = tirx.reinterpret(kind("int16", 2 * lanes_of(words)), words)
    pairs = (Shuffle([halves], [integer(2 * step + half)]) for half in (0, 1))
    return tuple(tirx.reinterpret("int8x8", splat(pair, 4)) for pair in pairs)


def _two(read: Read, _lanes: int) -> Vectors:
    return read(0, 8), read(8, 8)


def _halves(read: Read, _lanes: int) -> Vectors:
    whole = read(0, 16)
    return Shuffle([whole], [integer(i) for i in range(8)]), Shuffle([whole], [integer(i) for i in range(8, 16)])


def _by_pairs(weights: np.ndarray) -> np.ndarray:
    """Of every four lanes the weights of channels 0 and 1, then those of 2 and 3."""
    pairs = weights.reshape(-1, 4, 2, 2).swapaxes(1, 2)
    if (pairs == _LEAST).all(1).any():
        raise BuildError(f"int8 weights of {_LEAST} overflow this target's sums of two products: quantise from -127 on")
    return pairs


def _two_products(multiply: str, x: Vectors, w: Vectors) -> Expr:
    # Levels are -128 to 127. One of the two weights may be -128, the other is at least -127: the int16 sum is at most
    # 128 · 128 + 128 · 127 = 32640 < 2¹⁵.
    one, other = (intrinsic("int16", 8, multiply, *factors) for factors in zip(w, x, strict=True))
    return one + other


def _aarch64_add(total: Expr, x: Vectors, w: Vectors, _lanes: int) -> Expr:
    products = _two_products("aarch64.neon.smull.v8i16", x, w)
    return total + intrinsic("int32", 4, "aarch64.neon.saddlp.v4i32.v8i16", products)


def _armv7_add(total: Expr, x: Vectors, w: Vectors, _lanes: int) -> Expr:
    products = _two_products("arm.neon.vmulls.v8i16", x, w)
    return intrinsic("int32", 4, "arm.neon.vpadals.v4i32.v8i16", total, products)


def _signed(levels: Levels, step: int, _lanes: int) -> Vectors:
    return (_repeated("int8", levels, step),)


def _unsigned(levels: Levels, step: int, _lanes: int) -> Vectors:
    return (_repeated("uint8", levels, step),)


def _two_positions(levels: Levels, step: int, _lanes: int) -> Vectors:
    """Eight channels of one, then of the other."""
    count = next(lanes_of(words) for words in levels if words is not None) // 2
    wide = [tirx.const(0, "int64") if words is None else _eight(words, step, count) for words in levels]
    return (tirx.reinterpret("uint8x16", Shuffle(wide, [integer(0), integer(1)])),)


def _eight(words: Expr, step: int, count: int) -> Expr:
    eights = tirx.reinterpret(kind("int64", count), words)
    return Shuffle([eights], [integer(step)]) if count > 1 else eights


def _whole(read: Read, _lanes: int) -> Vectors:
    return (read(0, 16),)


def _sdot_add(total: Expr, x: Vectors, w: Vectors, _lanes: int) -> Expr:
    return intrinsic("int32", 4, "aarch64.neon.sdot.v4i32.v16i8", total, w[0], x[0])


def _usdot_add(total: Expr, x: Vectors, w: Vectors, _lanes: int) -> Expr:
    return intrinsic("int32", 4, "aarch64.neon.usdot.v4i32.v16i8", total, x[0], w[0])


def _four_channels(read: Read, _lanes: int) -> Vectors:
    """Eight weights of channels 0 and 1, then of 2 and 3."""
    return read(0, 16), read(16, 16)


def _mmla_add(total: Expr, x: Vectors, w: Vectors, _lanes: int) -> Expr:
    """See `hwaware.compiler.schedules.integer.sums`."""
    halves = [
        intrinsic("int32", 4, "aarch64.neon.usmmla.v4i32.v16i8", _part(total, 4 * half), x[0], w[half])
        for half in (0, 1)
    ]
    return Shuffle(halves, [integer(index) for index in range(8)])


def _part(vector: Expr, first: int) -> Expr:
    return Shuffle([vector], [integer(first + index) for index in range(4)])


def _dot_registers(p: int, v: int) -> int:
    return p * v + p + v + 2


def _neon_registers(p: int, v: int) -> int:
    """Sums, a vector of inputs for each position, pairs of inputs or of weights, and what LLVM has in flight."""
    return p * v + p + 2 * min(p, v) + (9 if p < v else 7)


NEON = Dot(
    4, _pairs, _two, _aarch64_add, _neon_registers, lambda p, v: 3 * p * v + 2 * p,
    order=_by_pairs, ahead=4, offset=_OFFSET,
)  # fmt: skip
ARMV7 = Dot(
    4, _pairs, _halves, _armv7_add, lambda p, v: p * v + p + 2 * v + 1, lambda p, v: 3 * p * v + 2 * p,
    order=_by_pairs, ahead=2, offset=_OFFSET, room=16,
)  # fmt: skip
SDOT = Dot(4, _signed, _whole, _sdot_add, _dot_registers, lambda p, v: p * v, ahead=4, offset=_OFFSET)
USDOT = Dot(4, _unsigned, _whole, _usdot_add, _dot_registers, lambda p, v: p * v, ahead=4)
# Two positions with two channels, for which the last of an odd number of positions has to be doubled.
MMLA = Dot(
    8, _two_positions, _four_channels, _mmla_add,
    lambda p, v: 2 * -(-p // 2) * v + p + 6, lambda p, v: -(-p // 2) * (2 * v + 1), together=2, ahead=2,
)  # fmt: skip
