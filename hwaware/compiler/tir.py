"""Small words for writing TIR that is already scheduled: explicit vectors, loops and flat buffers.

TVM's schedule primitives guard non-dividing tiles with predicates, which stops vectorisation; pruning leaves odd
widths everywhere. So the loops, tiles and tails are written out, and TVM lowers them to LLVM.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from tvm import tirx
from tvm.tirx import (
    AllocBuffer,
    Bind,
    Broadcast,
    BufferLoad,
    BufferStore,
    Cast,
    Evaluate,
    For,
    ForKind,
    IfThenElse,
    PrimFunc,
    Ramp,
    SeqStmt,
    Var,
)

Expr: TypeAlias = Any
Stmt: TypeAlias = Any
Buffer: TypeAlias = Any


def const(value: float, lanes: int = 1, dtype: str = "float32") -> Expr:
    """A constant, repeated over `lanes`."""
    scalar = tirx.const(value, dtype)
    return Broadcast(scalar, lanes) if lanes > 1 else scalar


def integer(value: int) -> Expr:
    """A 32-bit index."""
    return tirx.const(value, "int32")


def splat(value: Expr, lanes: int) -> Expr:
    """A scalar repeated over `lanes`."""
    return Broadcast(value, lanes) if lanes > 1 else value


def load(buffer: Buffer, index: Expr, lanes: int = 1) -> Expr:
    """`lanes` neighbouring elements from a flat buffer."""
    return BufferLoad(buffer, [Ramp(index, 1, lanes) if lanes > 1 else index])


def store(buffer: Buffer, index: Expr, value: Expr, lanes: int = 1) -> Stmt:
    """Write `lanes` neighbouring elements of a flat buffer."""
    return BufferStore(buffer, value, [Ramp(index, 1, lanes) if lanes > 1 else index])


def buffer(name: str, size: int, dtype: str = "float32", *, part: bool = False) -> Buffer:
    """A flat parameter buffer; TVM wants at least one element.

    Code may count on TVM's alignment of it, unless it is `part` of another and begins at any element.
    """
    return tirx.decl_buffer((max(1, size),), dtype, name, data_alignment=np.dtype(dtype).itemsize if part else -1)


def local(name: str, size: int, dtype: str = "float32") -> Buffer:
    """A flat buffer on the stack, which LLVM turns into registers where its indices are constant.

    TVM keeps it there only below 1 KiB and in the scope "global"; other scopes and sizes call for a workspace.
    """
    return tirx.decl_buffer((size,), dtype, name)


def seq(statements: Sequence[Stmt]) -> Stmt:
    """Statements one after the other."""
    flat = [statement for statement in statements if statement is not None]
    if not flat:
        return Evaluate(integer(0))
    return flat[0] if len(flat) == 1 else SeqStmt(flat)


def with_local(buffers: Sequence[Buffer], body: Stmt) -> Stmt:
    """`body` with stack buffers allocated before it."""
    return seq([*(AllocBuffer(item) for item in buffers), body])


def bind(name: str, value: Expr) -> tuple[Var, Stmt]:
    """A name for an expression that is used more than once."""
    variable = Var(name, _dtype(value))
    return variable, Bind(variable, value)


class Block:
    """Statements in the making, with names for values that are used more than once.

    A named value lives in a stack buffer, not in a TIR binding: TVM's simplifier substitutes bindings into each
    other, so that a chain of activations would double with every step. LLVM turns the buffer into a register.
    """

    def __init__(self) -> None:
        self.statements: list[Stmt] = []

    def keep(self, value: Expr, lanes: int) -> Expr:
        """The name of `value`, computed once."""
        return load(self.spill(value, lanes), integer(0), lanes)

    def spill(self, value: Expr, lanes: int) -> Buffer:
        """A stack buffer that holds `value`, to be read in parts."""
        place = local("t", lanes, _dtype(value).split("x")[0])
        self.statements += [AllocBuffer(place), store(place, integer(0), value, lanes)]
        return place


def _dtype(value: Expr) -> str:
    return str(value.ty.dtype)


_KINDS = {"serial": ForKind.SERIAL, "parallel": ForKind.PARALLEL, "unroll": ForKind.UNROLLED}


def loop(name: str, extent: Expr | int, body: Callable[..., Stmt], kind: str = "serial", start: Expr | int = 0) -> Stmt:
    """A loop; one of extent 1 is its body."""
    if isinstance(extent, int) and extent == 1:
        return body(integer(start) if isinstance(start, int) else start)
    if isinstance(extent, int) and extent == 0:
        return seq([])
    variable = Var(name, "int32")
    low = integer(start) if isinstance(start, int) else start
    count = integer(extent) if isinstance(extent, int) else extent
    return For(variable, low, count, _KINDS[kind], body(variable))


def serial(body: Stmt) -> Stmt:
    """`body` with its parallel loops, which stand outermost, run in order by the calling thread."""
    if isinstance(body, SeqStmt):
        return SeqStmt([serial(item) for item in body.seq])
    if isinstance(body, For) and body.kind == ForKind.PARALLEL:
        return For(body.loop_var, body.min, body.extent, ForKind.SERIAL, body.body)
    if isinstance(body, For):
        return For(body.loop_var, body.min, body.extent, body.kind, serial(body.body))
    return body


def branch(condition: Expr, then: Stmt, otherwise: Stmt | None = None) -> Stmt:
    """A conditional statement."""
    return IfThenElse(condition, then, otherwise)


def cast(dtype: str, value: Expr, lanes: int = 1) -> Expr:
    """Value conversion; `dtype` names the scalar type."""
    return Cast(f"{dtype}x{lanes}" if lanes > 1 else dtype, value)


def function(symbol: str, params: Sequence[Buffer], body: Stmt) -> PrimFunc:
    """The kernel: parameters never overlap, which lets LLVM keep values in registers."""
    made = PrimFunc(list(params), body)
    return made.with_attr("global_symbol", symbol).with_attr("tirx.noalias", True)


def pieces(count: int, lanes: int) -> list[tuple[int, int]]:
    """(offset, width) of vectors that cover `count` elements exactly: full ones, then halves down to one."""
    result = []
    offset, width = 0, lanes
    while offset < count:
        while width > count - offset:
            width //= 2
        result.append((offset, width))
        offset += width
    return result


def over_vectors(name: str, count: int, lanes: int, body: Callable[[Expr, int], Stmt]) -> Stmt:
    """`body(offset, width)` over `count` elements: a loop of full vectors, then the tail's pieces."""
    full = count // lanes
    statements = []
    if full:
        statements.append(loop(name, full, lambda i: body(i * lanes, lanes)))
    statements += [body(integer(full * lanes + offset), width) for offset, width in pieces(count - full * lanes, lanes)]
    return seq(statements)
