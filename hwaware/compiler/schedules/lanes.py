"""The loop over input channels of a register tile: inputs as scalars, or as vectors multiplied lane by lane.

AArch64's ``fmla v0.4s, v1.4s, v2.s[i]`` multiplies by one lane of a vector, so that one load brings a position's inputs
for four reduction steps. Where a multiply-add takes a broadcast from memory (x86), scalars are as good.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm.tirx import Shuffle

from hwaware.compiler.tir import Expr, Stmt, bind, integer, loop, seq

# (position) -> its input as a scalar, and the statement that reads it if there is one.
Scalar = Callable[[int], tuple[Expr, Stmt | None]]


def over_channels(
    count: int,
    lanes: int,
    positions: Sequence[int],
    source: Callable[[int, Expr, int], Expr],
    step: Callable[[Expr, Scalar], Stmt],
) -> Stmt:
    """`step(c, scalar)` for every input channel c < `count`.

    `source(position, c, width)` reads `width` neighbouring channels of a position from channel c on: `lanes` at once,
    then singly what is left.
    """

    def single(c: Expr) -> Stmt:
        return step(c, lambda p: bind(f"x{p}", source(p, c, 1)))

    def several(number: Expr) -> Stmt:
        first = number * lanes
        read = {p: bind(f"x{p}", source(p, first, lanes)) for p in positions}

        def lane_of(lane: int) -> Scalar:
            return lambda p: (Shuffle([read[p][0]], [integer(lane)]), None)

        steps = [step(first + lane, lane_of(lane)) for lane in range(lanes)]
        return seq([*(statement for _, statement in read.values()), *steps])

    if lanes == 1:
        return loop("c", count, single)
    full = count // lanes
    rest = range(full * lanes, count)
    return seq([loop("c", full, several), *(single(integer(c)) for c in rest)])
