"""Products of 8-bit integers on x86-64."""

from __future__ import annotations

from tvm import tirx

from hwaware.compiler.schedules.integer.dots import Dot, Levels, Read, Vectors, intrinsic, kind
from hwaware.compiler.tir import Expr, const, splat

# Instructions by the vector's width in int32.
_MADDUBS = {4: "x86.ssse3.pmadd.ub.sw.128", 8: "x86.avx2.pmadd.ub.sw", 16: "x86.avx512.pmaddubs.w.512"}
_MADDWD = {4: "x86.sse2.pmadd.wd", 8: "x86.avx2.pmadd.wd", 16: "x86.avx512.pmaddw.d.512"}
_DPBUSD = {4: "x86.avx512.vpdpbusd.128", 8: "x86.avx512.vpdpbusd.256", 16: "x86.avx512.vpdpbusd.512"}


def _bytes(levels: Levels, _step: int, lanes: int) -> Vectors:
    return (tirx.reinterpret(kind("uint8", 4 * lanes), splat(levels[0], lanes)),)


def _whole(read: Read, lanes: int) -> Vectors:
    return (read(0, 4 * lanes),)


def _pairs_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    # vpmaddubsw saturates sums of two products u8 · s8: at most 255 · 128 = 32640 < 2¹⁵ where |a| + |b| ≤ 128 of any
    # two neighbouring weights.
    pairs = intrinsic("int16", 2 * lanes, _MADDUBS[lanes], x[0], w[0])
    return total + intrinsic("int32", lanes, _MADDWD[lanes], pairs, const(1, 2 * lanes, "int16"))


def _halves(levels: Levels, _step: int, lanes: int) -> Vectors:
    """Channels 0 and 2, and 1 and 3, as 16-bit numbers."""
    whole = splat(levels[0], lanes)
    mask = const(0x00FF00FF, lanes, "int32")
    high = tirx.shift_right(whole, const(8, lanes, "int32"))
    halves = (tirx.bitwise_and(each, mask) for each in (whole, high))
    return tuple(tirx.reinterpret(kind("int16", 2 * lanes), half) for half in halves)


def _weight_halves(read: Read, lanes: int) -> Vectors:
    words = tirx.reinterpret(kind("int16", 2 * lanes), read(0, 4 * lanes))
    eight = const(8, 2 * lanes, "int16")
    return tirx.shift_right(tirx.shift_left(words, eight), eight), tirx.shift_right(words, eight)


def _wide_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    # 16-bit numbers: two products of 255 · 128 in int32.
    for one, other in zip(x, w, strict=True):
        total = total + intrinsic("int32", lanes, _MADDWD[lanes], one, other)
    return total


def _vnni_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    # Four products are added up in 32 bits; the instruction that would saturate has another name, vpdpbusds.
    return intrinsic("int32", lanes, _DPBUSD[lanes], total, x[0], w[0])


# Beside sums and what waits for them: one of the other factors, products, a constant, and one to load ahead.
PAIRS = Dot(4, _bytes, _whole, _pairs_add, lambda p, v: p * v + min(p, v) + 4, lambda p, v: 3 * p * v)
WIDE = Dot(
    4, _halves, _weight_halves, _wide_add,
    lambda p, v: p * v + 2 * min(p, v) + 4, lambda p, v: 4 * p * v + 2 * p + 3 * v,
)  # fmt: skip
VNNI = Dot(4, _bytes, _whole, _vnni_add, lambda p, v: p * v + min(p, v) + 2, lambda p, v: p * v)
# Vectors that the instructions of `PAIRS` and `WIDE` take.
LANES = frozenset(_MADDUBS)
