"""The elementwise steps behind an anchor, on vectors that are still in registers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from tvm import tirx

from hwaware.compiler import levels, mathlib
from hwaware.compiler.tir import Block, Buffer, Expr, Stmt, const, load, splat
from hwaware.graph.workload import CHANNEL, DEQUANTIZE, FULL, NONE, OF_LEVELS, PAIR, QUANTIZE, SCALE, Step


def _clip(_block: Block, x: Expr, lanes: int, low: float, high: float) -> Expr:
    if low != -math.inf:
        x = tirx.max(x, const(low, lanes))
    return x if high == math.inf else tirx.min(x, const(high, lanes))


def _affine(_block: Block, x: Expr, lanes: int, scale: float, shift: float) -> Expr:
    if scale != 1.0:
        x = x * const(scale, lanes)
    return x + const(shift, lanes) if shift != 0.0 else x


def _gate(block: Block, x: Expr, lanes: int) -> Expr:
    """relu6(x + 3) / 6, the gate of hard swish."""
    return _clip(block, x + const(3.0, lanes), lanes, 0.0, 6.0) * const(1.0 / 6.0, lanes)


def _select_negative(x: Expr, negative: Expr, lanes: int) -> Expr:
    return tirx.Select(x < const(0.0, lanes), negative, x)


def _elu(block: Block, x: Expr, lanes: int, alpha: float) -> Expr:
    below = mathlib.exp(block, tirx.min(x, const(0.0, lanes)), lanes) - const(1.0, lanes)
    return _select_negative(x, const(alpha, lanes) * below, lanes)


UNARY: dict[str, Callable[..., Expr]] = {
    "relu": lambda b, x, n: tirx.max(x, const(0.0, n)),
    "clip": _clip,
    "affine": _affine,
    "silu": lambda b, x, n: x * mathlib.sigmoid(b, x, n),
    "hardswish": lambda b, x, n: x * _gate(b, x, n),
    "hardsigmoid": _gate,
    "leaky_relu": lambda b, x, n, slope: _select_negative(x, x * const(slope, n), n),
    "gelu": mathlib.gelu,
    "sigmoid": mathlib.sigmoid,
    "tanh": mathlib.tanh,
    "elu": _elu,
    "exp": mathlib.exp,
    "square": lambda b, x, n: x * x,
    "cube": lambda b, x, n: x * x * x,
    "sqrt": lambda b, x, n: tirx.sqrt(x),
    "rsqrt": lambda b, x, n: const(1.0, n) / tirx.sqrt(x),
    "reciprocal": lambda b, x, n: const(1.0, n) / x,
    "abs": lambda b, x, n: tirx.max(x, const(0.0, n) - x),
}

BINARY: dict[str, Callable[[Expr, Expr, int], Expr]] = {
    "add": lambda x, y, n: x + y,
    "sub": lambda x, y, n: x - y,
    "rsub": lambda x, y, n: y - x,
    "mul": lambda x, y, n: x * y,
    "div": lambda x, y, n: x / y,
    "rdiv": lambda x, y, n: y / x,
    "max": lambda x, y, n: tirx.max(x, y),
    "min": lambda x, y, n: tirx.min(x, y),
    "prelu": lambda x, y, n: _select_negative(x, x * y, n),
    SCALE: levels.scaled,
}

# Of two numbers for the whole tensor.
PAIRED: dict[str, Callable[[Expr, Buffer, int], Expr]] = {QUANTIZE: levels.quantized, DEQUANTIZE: levels.dequantized}


def apply_steps(
    steps: Sequence[Step],
    operands: Sequence[Buffer | None],
    value: Expr,
    lanes: int,
    full: Expr,
    channel: Expr,
    strided: Callable[[Buffer, Step, int], Expr] | None = None,
) -> tuple[list[Stmt], Expr]:
    """Statements that name each intermediate result, and the value after all steps.

    `full` is the flat output index of the first lane, `channel` its innermost coordinate; `strided` loads an operand
    that a map reads with strides of its own.
    """
    block = Block()
    decoder: Buffer | None = None
    for step, operand in zip(steps, operands, strict=True):
        if step.name == OF_LEVELS:
            decoder = operand
            continue
        x = block.keep(value, lanes)
        if step.operand == PAIR:
            value = PAIRED[step.name](x, operand, lanes)
            continue
        if step.operand == NONE:
            value = UNARY[step.name](block, x, lanes, *step.params)
            continue
        if step.operand == FULL:
            other = load(operand, full, lanes)
        elif step.operand == CHANNEL:
            other = load(operand, channel, lanes)
        else:
            assert strided is not None
            other = strided(operand, step, lanes)
        if decoder is not None:
            other, decoder = levels.dequantized(other, decoder, lanes), None
        value = BINARY[step.name](x, other, lanes)
    return block.statements, value


def scalar_operand(buffer: Buffer, index: Expr, lanes: int) -> Expr:
    """One element for every lane."""
    return splat(load(buffer, index), lanes)
