"""A sliding window over an image: which output columns touch the border, and with which taps.

All extents are known when code is generated, so a tile at the border simply leaves out the taps that fall outside;
rows clip the range of the vertical loop. No padded copy of the input is ever made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tvm import tirx

from hwaware.compiler.tir import Expr, Stmt, integer, loop, seq


@dataclass(frozen=True)
class Axis:
    """One axis: output position o reads input o·stride - pad + tap·dilation, if inside [0, size)."""

    size: int
    out: int
    taps: int
    stride: int = 1
    pad: int = 0
    dilation: int = 1

    def source(self, position: int, tap: int) -> int:
        """Input position."""
        return position * self.stride - self.pad + tap * self.dilation

    def inside(self, position: int, tap: int) -> bool:
        """Whether the tap reads a real element."""
        return 0 <= self.source(position, tap) < self.size

    def interior(self, position: int) -> bool:
        """Whether all taps do."""
        return self.inside(position, 0) and self.inside(position, self.taps - 1)

    def always_inside(self) -> bool:
        """Whether no position touches the border."""
        return self.interior(0) and self.interior(self.out - 1)

    def tap_range(self, position: Expr) -> tuple[Expr, Expr]:
        """First and one-past-last tap inside, for a symbolic position."""
        first = integer(self.pad) - position * self.stride
        low = tirx.floordiv(first + (self.dilation - 1), integer(self.dilation))
        high = tirx.floordiv(integer(self.size - 1 + self.pad) - position * self.stride, integer(self.dilation)) + 1
        return tirx.max(low, integer(0)), tirx.min(high, integer(self.taps))


@dataclass(frozen=True)
class Run:
    """`count` tiles of `width` columns from column `start`; border tiles come one by one."""

    start: int
    width: int
    count: int


def runs(axis: Axis, width: int) -> Iterator[Run]:
    """Tiles over a row: neighbouring interior tiles share one loop, the rest stand alone."""
    position = 0
    while position < axis.out:
        size = min(width, axis.out - position)
        count = 1
        if size == width and _clear(axis, position, size):
            while position + (count + 1) * width <= axis.out and _clear(axis, position + count * width, width):
                count += 1
        yield Run(position, size, count)
        position += size * count


def _clear(axis: Axis, start: int, width: int) -> bool:
    return axis.interior(start) and axis.interior(start + width - 1)


def over_taps(
    axis: Axis, position: Expr, body: Callable[[Expr], Stmt], beyond: Callable[[Expr], Stmt] | None = None
) -> Stmt:
    """A loop over the vertical taps that are inside, and loops over the others where `beyond` says what they do."""
    if axis.always_inside():
        return loop("r", axis.taps, body)
    low, high = axis.tap_range(position)
    # Rows whose window lies wholly in the padding have an empty range.
    count = tirx.max(high - low, integer(0))
    inside = loop("r", count, body, start=low)
    if beyond is None:
        return inside
    before = tirx.min(low, integer(axis.taps))
    after = tirx.max(axis.taps - before - count, integer(0))
    return seq([
        loop("before", before, beyond), inside, loop("after", after, lambda r: beyond(r + before + count)),
    ])  # fmt: skip
