"""Transcendental functions as vector polynomials.

Calls into the C library would be scalar and would make a kernel depend on one. Errors are a few units in the last
place for exp and log, below 2e-7 absolute for tanh, sigmoid and erf. Sources: range reduction and minimax polynomials
as in Cephes (Moshier) for exp and log; Abramowitz and Stegun 7.1.26 for erf.
"""

from __future__ import annotations

import math

from tvm import tirx

from hwaware.compiler.tir import Block, Expr, cast, const


def _horner(x: Expr, coefficients: tuple[float, ...], lanes: int) -> Expr:
    result = const(coefficients[0], lanes)
    for coefficient in coefficients[1:]:
        result = result * x + const(coefficient, lanes)
    return result


def exp(block: Block, x: Expr, lanes: int) -> Expr:
    """e^x, saturated where float32 would overflow or become denormal."""
    x = block.keep(tirx.max(tirx.min(x, const(88.0, lanes)), const(-87.0, lanes)), lanes)
    # Truncation of a positive number rounds down: shifted by 128.5 it is rounding to the nearest integer.
    n = block.keep(cast("int32", x * const(math.log2(math.e), lanes) + const(128.5, lanes), lanes), lanes)
    whole = block.keep(cast("float32", n, lanes) - const(128.0, lanes), lanes)
    # ln 2 in two parts, so that x - n·ln 2 loses nothing.
    r = block.keep(x - whole * const(0.693359375, lanes) - whole * const(-2.12194440e-4, lanes), lanes)
    poly = _horner(
        r,
        (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1),
        lanes,
    )
    mantissa = poly * r * r + r + const(1.0, lanes)
    exponent = tirx.shift_left(n - const(1, lanes, "int32"), const(23, lanes, "int32"))
    return block.keep(mantissa * _from_bits(exponent, lanes), lanes)


def _from_bits(bits: Expr, lanes: int) -> Expr:
    return tirx.reinterpret(f"float32x{lanes}" if lanes > 1 else "float32", bits)


def _to_bits(value: Expr, lanes: int) -> Expr:
    return tirx.reinterpret(f"int32x{lanes}" if lanes > 1 else "int32", value)


def log(block: Block, x: Expr, lanes: int) -> Expr:
    """Natural logarithm of positive normal numbers."""
    # Mantissa in [sqrt(1/2), sqrt(2)): subtract the bits of sqrt(1/2), split, add them back.
    root = const(0x3F3504F3, lanes, "int32")
    shifted = block.keep(_to_bits(x, lanes) - root, lanes)
    exponent = block.keep(cast("float32", tirx.shift_right(shifted, const(23, lanes, "int32")), lanes), lanes)
    bits = tirx.bitwise_and(shifted, const(0x007FFFFF, lanes, "int32")) + root
    m = block.keep(_from_bits(bits, lanes) - const(1.0, lanes), lanes)
    poly = _horner(
        m,
        (
            *(7.0376836292e-2, -1.1514610310e-1, 1.1676998740e-1, -1.2420140846e-1, 1.4249322787e-1),
            *(-1.6668057665e-1, 2.0000714765e-1, -2.4999993993e-1, 3.3333331174e-1),
        ),
        lanes,
    )
    low = m * m * m * poly + exponent * const(-2.12194440e-4, lanes) - const(0.5, lanes) * m * m
    return block.keep(m + low + exponent * const(0.693359375, lanes), lanes)


def sigmoid(block: Block, x: Expr, lanes: int) -> Expr:
    """1 / (1 + e^-x)."""
    one = const(1.0, lanes)
    return block.keep(one / (one + exp(block, const(0.0, lanes) - x, lanes)), lanes)


def tanh(block: Block, x: Expr, lanes: int) -> Expr:
    """1 - 2 / (e^2x + 1)."""
    one = const(1.0, lanes)
    return block.keep(one - const(2.0, lanes) / (exp(block, x + x, lanes) + one), lanes)


def erf(block: Block, x: Expr, lanes: int) -> Expr:
    """The error function, odd in x."""
    one, zero = const(1.0, lanes), const(0.0, lanes)
    x = block.keep(x, lanes)
    magnitude = block.keep(tirx.max(x, zero - x), lanes)
    t = block.keep(one / (one + const(0.3275911, lanes) * magnitude), lanes)
    poly = _horner(t, (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592), lanes) * t
    positive = block.keep(one - poly * exp(block, zero - magnitude * magnitude, lanes), lanes)
    return block.keep(tirx.Select(x < zero, zero - positive, positive), lanes)


def gelu(block: Block, x: Expr, lanes: int, approximate: str) -> Expr:
    """x·Φ(x), exact or by the tanh formula (Hendrycks and Gimpel 2016)."""
    half = const(0.5, lanes) * x
    if approximate == "tanh":
        inner = const(math.sqrt(2.0 / math.pi), lanes) * (x + const(0.044715, lanes) * x * x * x)
        return half * (const(1.0, lanes) + tanh(block, inner, lanes))
    return half * (const(1.0, lanes) + erf(block, x * const(math.sqrt(0.5), lanes), lanes))
