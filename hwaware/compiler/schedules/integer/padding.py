"""What integer sums are given for taps in the padding, where (x - z) · w is 0 but x · w is counted on: see `tile`.

They count as the level z. Processors that take 128 off every level would multiply what is never 0, so that for them
z · Σ w of each tap lies ready; to others z is mostly 0, and the weights are multiplied where it is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from tvm import tirx

from hwaware.compiler.kernel import KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.direct_tile import Site
from hwaware.compiler.schedules.integer.biases import given_back
from hwaware.compiler.schedules.integer.dots import Dot
from hwaware.compiler.schedules.integer.segment import Segment
from hwaware.compiler.schedules.integer.sums import Sums
from hwaware.compiler.tir import Buffer, Expr, Stmt, branch, const, integer, load, seq, splat

# (row of the window, tap) -> where its weights begin.
WeightAt = Callable[[Expr, int], Expr]


class Padding(Protocol):
    """Adds what taps in the padding are to the sums of a tile."""

    def columns(self, site: Site, r: Expr, beyond: Mapping[int, Sequence[int]], sums: Sums, at: WeightAt) -> Stmt:
        """Row r of the window; the positions that are `beyond` the image at each tap of it."""

    def row(self, site: Site, r: Expr, sums: Sums, at: WeightAt) -> Stmt:
        """Row r of the window, all of it above or below the image."""


def padding(builder: KernelBuilder, shape: ConvShape, dot: Dot, channels: int, *, joined: bool) -> Padding | None:
    """Declare what it reads, for `channels` padded output channels; None where no window leaves the image."""
    if shape.rows.always_inside() and shape.columns.always_inside():
        return None
    if dot.offset:
        lines = shape.rows.taps * (1 + shape.columns.taps)
        table = builder.constant("outside", lines * channels, given_back(shape, channels, dot.offset), "int32")
        return _Tabled(shape, table, channels)
    zero = builder.constant("zero", 1, lambda constants: constants["zero"].astype(np.uint8), "uint8")
    return _Multiplied(shape, dot, zero, joined)


@dataclass(frozen=True)
class _Tabled:
    shape: ConvShape
    table: Buffer
    channels: int

    def columns(self, site: Site, r: Expr, beyond: Mapping[int, Sequence[int]], sums: Sums, at: WeightAt) -> Stmt:
        taps = self.shape.rows.taps + r * self.shape.columns.taps
        return seq([self._line(site, taps + tap, positions, sums) for tap, positions in beyond.items()])

    def row(self, site: Site, r: Expr, sums: Sums, at: WeightAt) -> Stmt:
        return self._line(site, r, range(sums.positions), sums)

    def _line(self, site: Site, index: Expr, positions: Sequence[int], sums: Sums) -> Stmt:
        block = site.block
        first = index * self.channels + (site.group * self.shape.kg + site.index * block.valid + block.start)
        return seq([
            statement
            for v, (start, width) in enumerate(zip(block.starts, block.widths, strict=True))
            for statement in sums.add(v, load(self.table, first + start, width), positions)
        ])  # fmt: skip


@dataclass(frozen=True)
class _Multiplied:
    shape: ConvShape
    dot: Dot
    zero: Buffer
    joined: bool

    def columns(self, site: Site, r: Expr, beyond: Mapping[int, Sequence[int]], sums: Sums, at: WeightAt) -> Stmt:
        return self._unless_zero([
            self._segment(site, positions, sums, at(r, tap), 1) for tap, positions in beyond.items()
        ])  # fmt: skip

    def row(self, site: Site, r: Expr, sums: Sums, at: WeightAt) -> Stmt:
        taps = self.shape.columns.taps
        runs, count = ([0], taps) if self.joined else (range(taps), 1)
        everywhere = range(sums.positions)
        return self._unless_zero([self._segment(site, everywhere, sums, at(r, tap), count) for tap in runs])

    def _segment(self, site: Site, positions: Sequence[int], sums: Sums, first_weight: Expr, taps: int) -> Stmt:
        zero = load(self.zero, integer(0))
        count = taps * self.shape.cg
        return Segment(self.dot, site, sums, positions, lambda p, c, n: splat(zero, n), first_weight, count).body()

    def _unless_zero(self, statements: Sequence[Stmt]) -> Stmt:
        return branch(tirx.NE(load(self.zero, integer(0)), const(0, dtype="uint8")), seq(list(statements)))
