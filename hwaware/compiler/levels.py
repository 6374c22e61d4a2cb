"""Arithmetic of quantised activations in a kernel's registers; to the bit what `hwaware.graph.integer` computes.

What is multiplied and may then be added to something goes through a fence: a fused multiply-add would round once
where two roundings are promised.
"""

from __future__ import annotations

from tvm import tirx

from hwaware.compiler.tir import Buffer, Expr, cast, const, integer, load, splat
from hwaware.graph.integer import LEVELS, MOST

# Added to a small float32 number it leaves the nearest integer, ties to even, in the lowest bits of the sum; every
# processor rounds an addition so, while not each has an instruction that rounds.
_MAGIC, _MAGIC_BITS = 12582912.0, 0x4B400000


def _fence(value: Expr, lanes: int) -> Expr:
    kind = f"float32x{lanes}" if lanes > 1 else "float32"
    return tirx.call_llvm_pure_intrin(kind, "llvm.arithmetic.fence", value)


def scaled(total: Expr, scale: Expr, lanes: int) -> Expr:
    """float32 values of integer sums."""
    return _fence(cast("float32", total, lanes) * scale, lanes)


def dequantized(level: Expr, constants: Buffer, lanes: int) -> Expr:
    """float32 values of uint8 levels; `constants` are scale and zero."""
    scale, zero = (splat(load(constants, integer(index)), lanes) for index in (0, 1))
    return _fence((cast("float32", level, lanes) - zero) * scale, lanes)


def quantized(value: Expr, constants: Buffer, lanes: int) -> Expr:
    """uint8 levels of float32 values; `constants` are 1 / scale and zero."""
    inverse = splat(load(constants, integer(0)), lanes)
    zero = cast("int32", load(constants, integer(1)))
    near = tirx.max(tirx.min(_fence(value * inverse, lanes), const(MOST, lanes)), const(-MOST, lanes))
    bits = tirx.reinterpret(f"int32x{lanes}" if lanes > 1 else "int32", near + const(_MAGIC, lanes))
    level = bits + splat(zero - integer(_MAGIC_BITS), lanes)
    level = tirx.max(tirx.min(level, const(LEVELS, lanes, "int32")), const(0, lanes, "int32"))
    return cast("uint8", level, lanes)
