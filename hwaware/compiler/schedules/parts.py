"""Loops that divide evenly among threads: the pool gives each a contiguous share of the parallel loop."""

from __future__ import annotations

from collections.abc import Callable

from tvm import tirx

from hwaware.compiler.kernel import ceil_div
from hwaware.compiler.tir import Expr, Stmt, integer, loop

# Threads among which the outer loop should divide evenly.
_THREADS = (2, 4)
# How much longer than the mean the longest share may be.
_UNEVEN = 0.03


def even_parts(outer: int, inner: int) -> int:
    """Into how many pieces to cut the inner loop so that few threads get nearly equal shares of outer × pieces."""

    def waste(parts: int) -> float:
        total = outer * parts
        return max(ceil_div(total, threads) * threads / total for threads in _THREADS) - 1

    possible = [parts for parts in (1, 2, 4) if parts <= inner]
    return min(possible, key=lambda parts: (round(max(0.0, waste(parts) - _UNEVEN), 2), parts))


def ranges(count: int, parts: int) -> list[int]:
    """The sizes of `parts` ranges of nearly equal size; there are no more parts than things."""
    parts = max(1, min(parts, count))
    size, longer = divmod(count, parts)
    # The first ones take one more.
    return [size + 1] * longer + [size] * (parts - longer)


def over_parts(
    outer: int, inner: int, parts: int, body: Callable[[Expr, Expr], Stmt], *, parts_outside: bool = False
) -> Stmt:
    """`body(i, j)` for all i < outer, j < inner, parallel over i and `parts` ranges of j.

    `parts_outside` puts the ranges outermost, so that a thread that has half of them reads only half the weights.
    """
    parts = max(1, min(parts, inner))
    if parts == 1:
        return loop("outer", outer, lambda i: loop("inner", inner, lambda j: body(i, j)), "parallel")
    sizes = ranges(inner, parts)
    size, longer = sizes[-1], sizes.count(sizes[-1] + 1)

    def step(number: Expr) -> Stmt:
        part = tirx.floordiv(number, integer(outer)) if parts_outside else tirx.floormod(number, integer(parts))
        i = number - part * outer if parts_outside else tirx.floordiv(number, integer(parts))
        low = part * size + tirx.min(part, integer(longer))
        count = tirx.Select(part < integer(longer), integer(size + 1), integer(size)) if longer else size
        # The loop starts at 0: TVM's simplifier forgets another start where the variable is divided further in.
        return loop("inner", count, lambda j: body(i, low + j))

    return loop("outer", outer * parts, step, "parallel")
