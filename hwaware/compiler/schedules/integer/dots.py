"""How processors multiply 8-bit integers: products of a few neighbouring input channels added up in int32 lanes.

A step takes `depth` input channels of one position, repeated over all lanes, and `depth` weights a lane. Every way is
exact: no intermediate sum of 16 bits can overflow, which is why `pairs` needs weights that are bounded in pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx

from hwaware.compiler.target import Target
from hwaware.compiler.tir import Expr, cast, const, splat

Vectors = tuple[Expr, ...]


@dataclass(frozen=True)
class Dot:
    """One way. `inputs(bits, lanes)` turns `depth` uint8 channels, given as one integer, into vectors; `weights(w,
    lanes)` does so with `depth` · `lanes` int8 weights; `add(sum, inputs, weights, lanes)` is the sum and the products.

    `offset` is subtracted from each input on the way; `spare` are registers that it needs beside those of a tile.
    """

    depth: int
    inputs: Callable[[Expr, int], Vectors]
    weights: Callable[[Expr, int], Vectors]
    add: Callable[[Expr, Vectors, Vectors, int], Expr]
    offset: int = 0
    spare: int = 0


def dot_of(target: Target, paired: bool) -> Dot:
    """The fastest way of a target; `paired` says that |a| + |b| ≤ 128 for any two neighbouring weights."""
    if "+avx512vnni" in target.features:
        return _VNNI
    if target.triple.startswith("x86_64") and target.lanes in _MADDUBS:
        return _PAIRS if paired else _WIDE
    return _SINGLE


def _kind(dtype: str, lanes: int) -> str:
    return f"{dtype}x{lanes}" if lanes > 1 else dtype


def _call(dtype: str, lanes: int, name: str, *args: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin(_kind(dtype, lanes), name, *args)


# x86: instructions by the vector's width in bytes.
_MADDUBS = {4: "llvm.x86.ssse3.pmadd.ub.sw.128", 8: "llvm.x86.avx2.pmadd.ub.sw", 16: "llvm.x86.avx512.pmaddubs.w.512"}
_MADDWD = {4: "llvm.x86.sse2.pmadd.wd", 8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}
_DPBUSD = {4: "llvm.x86.avx512.vpdpbusd.128", 8: "llvm.x86.avx512.vpdpbusd.256", 16: "llvm.x86.avx512.vpdpbusd.512"}
# No vector is narrower than what the instructions above take.
LEAST_LANES = 4


def _wide(value: Expr, lanes: int, dtype: str) -> Expr:
    return tirx.reinterpret(_kind(dtype, lanes), value)


def _bytes(bits: Expr, lanes: int) -> Vectors:
    return (_wide(splat(bits, lanes), 4 * lanes, "uint8"),)


def _pairs_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    # u8 · s8 in pairs: at most 255 · 128 = 32640 < 2¹⁵ of bounded weights.
    pairs = _call("int16", 2 * lanes, _MADDUBS[lanes], x[0], w[0])
    return total + _call("int32", lanes, _MADDWD[lanes], pairs, const(1, 2 * lanes, "int16"))


def _halves(bits: Expr, lanes: int) -> Vectors:
    """Channels 0 and 2, and 1 and 3, as 16-bit numbers."""
    whole = splat(bits, lanes)
    low = tirx.bitwise_and(whole, const(0x00FF00FF, lanes, "int32"))
    high = tirx.bitwise_and(tirx.shift_right(whole, const(8, lanes, "int32")), const(0x00FF00FF, lanes, "int32"))
    return _wide(low, 2 * lanes, "int16"), _wide(high, 2 * lanes, "int16")


def _weight_halves(w: Expr, lanes: int) -> Vectors:
    words = _wide(w, 2 * lanes, "int16")
    eight = const(8, 2 * lanes, "int16")
    return tirx.shift_right(tirx.shift_left(words, eight), eight), tirx.shift_right(words, eight)


def _wide_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    # 16-bit numbers: 2 · 255 · 127 in int32.
    for one, other in zip(x, w, strict=True):
        total = total + _call("int32", lanes, _MADDWD[lanes], one, other)
    return total


def _vnni_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    return _call("int32", lanes, _DPBUSD[lanes], total, x[0], w[0])


def _single_add(total: Expr, x: Vectors, w: Vectors, lanes: int) -> Expr:
    return total + x[0] * w[0]


def _number(bits: Expr, lanes: int) -> Vectors:
    return (splat(bits, lanes),)


def _widened(w: Expr, lanes: int) -> Vectors:
    return (cast("int32", w, lanes),)


_PAIRS = Dot(4, _bytes, lambda w, lanes: (w,), _pairs_add, spare=3)
_WIDE = Dot(4, _halves, _weight_halves, _wide_add, spare=4)
_VNNI = Dot(4, _bytes, lambda w, lanes: (w,), _vnni_add, spare=1)
_SINGLE = Dot(1, _number, _widened, _single_add, spare=2)


def bits_of(load: Callable[[int, int], Expr], depth: int, valid: int) -> Expr:
    """`depth` neighbouring uint8 as one integer; the last `depth` - `valid` are 0.

    `load(offset, count)` reads `count` of them from `offset` on.
    """
    if depth == 1:
        return cast("int32", load(0, 1))
    if valid == depth:
        return tirx.reinterpret("int32", load(0, depth))
    total = cast("int32", load(0, 1))
    for index in range(1, valid):
        total = tirx.bitwise_or(total, tirx.shift_left(cast("int32", load(index, 1)), tirx.const(8 * index, "int32")))
    return total
