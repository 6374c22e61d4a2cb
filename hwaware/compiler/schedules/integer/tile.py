"""The register tile of an integer convolution: begin with the biases, multiply and add over the window, epilogue.

With x the levels and z their zero, Σ (x - z) · w + b = Σ x · w + (b - z · Σ w): what does not depend on x is in the
biases. A tap in the padding, where (x - z) is 0, counts as the level z.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.direct_tile import Site, write_tile
from hwaware.compiler.schedules.integer.dots import Dot
from hwaware.compiler.schedules.integer.padding import Padding
from hwaware.compiler.schedules.integer.segment import Segment
from hwaware.compiler.schedules.integer.sums import Sums
from hwaware.compiler.schedules.window import Run, over_taps
from hwaware.compiler.tir import Block, Buffer, Expr, Stmt, bind, load, seq, with_local


@dataclass(frozen=True)
class IntegerTile:
    """Writes tiles by `dot`.

    `bias` has a value a channel; `padding` is None where there is none. Reduction steps of a row of the window are one
    run of `joined` taps and their channels, or of the channels of one tap, padded to a multiple of the dot's depth.
    """

    dot: Dot
    shape: ConvShape
    bias: Buffer
    padding: Padding | None
    joined: bool

    def __call__(self, site: Site, span: Run, image: Expr, row: Expr, column: Expr) -> Stmt:
        """One register tile."""
        block, shape = site.block, self.shape
        sums = Sums(span.width, block.widths, self.dot.together)
        first = site.group * shape.kg + site.index * block.valid + block.start
        begin = []
        for v, (start, width) in enumerate(zip(block.starts, block.widths, strict=True)):
            name, bound = bind(f"b{start}", load(self.bias, first + start, width))
            begin += [bound, *sums.begin(v, name)]

        def line(r: Expr) -> Stmt:
            at = image * shape.rows.size + (row * shape.rows.stride - shape.rows.pad + r * shape.rows.dilation)
            statements = []
            for first_tap, count, positions in self._segments(site, span):
                statements.append(self._reduce(site, first_tap, count, positions, at, column, r, sums))
            if self.padding is not None:
                places = {tap: self._beyond(span, tap) for tap in range(shape.columns.taps)}
                beyond = {tap: positions for tap, positions in places.items() if positions}
                if beyond:
                    statements.append(self.padding.columns(site, r, beyond, sums, partial(self._weight, site)))
            return seq(statements)

        above_or_below = None
        if self.padding is not None:
            above_or_below = partial(self.padding.row, site, sums=sums, at=partial(self._weight, site))
        reduce = over_taps(shape.rows, row, line, above_or_below)
        totals, taken = sums.by_position()
        written = write_tile(site, span, image, row, column, totals)
        return with_local(sums.buffers, seq([*begin, reduce, *taken, *written]))

    def _beyond(self, span: Run, tap: int) -> list[int]:
        return [p for p in range(span.width) if not self._inside(span, p, tap)]

    def _inside(self, span: Run, position: int, tap: int) -> bool:
        # In a run of several tiles all taps are inside; a tile alone knows its columns.
        return span.count > 1 or self.shape.columns.inside(span.start + position, tap)

    def _segments(self, site: Site, span: Run) -> list[tuple[int, int, list[int]]]:
        """First tap, count and positions of each loop over a row of the window."""
        axis = self.shape.columns
        if self.joined:
            return [(0, axis.taps, list(range(span.width)))]
        # Taps are one run where they are neighbours in memory and no weights of padding lie between them.
        neighbours = axis.dilation == 1 and site.builder.workload.in_pitch == self.shape.cg
        one_run = neighbours and self.shape.cg % self.dot.depth == 0
        found: list[tuple[int, int, list[int]]] = []
        for tap in range(axis.taps):
            positions = [p for p in range(span.width) if self._inside(span, p, tap)]
            if one_run and found and found[-1][2] == positions:
                found[-1] = (found[-1][0], found[-1][1] + 1, positions)
            else:
                found.append((tap, 1, positions))
        return [each for each in found if each[2]]

    def _reduce(
        self,
        site: Site,
        first_tap: int,
        taps: int,
        positions: list[int],
        line: Expr,
        column: Expr,
        r: Expr,
        sums: Sums,
    ) -> Stmt:
        shape, axis = self.shape, self.shape.columns
        pitch = site.builder.workload.in_pitch
        place = line * axis.size + column * axis.stride + (first_tap * axis.dilation - axis.pad)
        # Named, as LLVM else computes each position's address anew in every step.
        names = Block()
        pixel = names.keep(place * pitch + site.group * shape.cg, 1)
        spacing = axis.stride * pitch

        def read(p: int, c: Expr, n: int) -> Expr:
            return load(site.builder.inputs[0], pixel + p * spacing + c, n)

        segment = Segment(self.dot, site, sums, positions, read, self._weight(site, r, first_tap), taps * shape.cg)
        return seq([*names.statements, segment.body()])

    def _weight(self, site: Site, r: Expr, tap: int) -> Expr:
        """Where the weights of tap (r, `tap`) begin."""
        axis, depth = self.shape.columns, self.dot.depth
        run = axis.taps * self.shape.cg if self.joined else self.shape.cg
        step = (r * (1 if self.joined else axis.taps) + tap) * (-(-run // depth) * depth)
        return site.first_weight + step * site.block.padded
