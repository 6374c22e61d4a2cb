"""Direct convolution: register tiles of positions × channel vectors.

The inner loop broadcasts an input to the tile's row of accumulators and multiplies by weight vectors that lie next to
each other. It runs over the taps of a row and the input channels at once where they are neighbours in memory, so that
few input channels (a stem's three) still make a long loop.

Two loop orders: positions outermost, where the packed weights stay in the second-level cache and inputs stream once;
or blocks of output channels outermost, where weights do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from tvm import tirx

from hwaware.compiler.kernel import KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.direct_tile import Site, direct_tile
from hwaware.compiler.schedules.parts import even_parts, over_parts
from hwaware.compiler.schedules.tile import ChannelBlock, Tile
from hwaware.compiler.schedules.window import Run, runs
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import Buffer, Expr, Stmt, branch, integer, loop, seq

# (site, run of tiles, image, row, first column) -> a tile.
WriteTile = Callable[[Site, Run, Expr, Expr, Expr], Stmt]


@dataclass(frozen=True)
class DirectPlan:
    """A convolution with its tile, channel blocks and packed weights, which start at `base` of the buffer.

    `parts` is into how many pieces the loop that is not outermost is cut, to even out the threads' shares. `steps` are
    reduction steps as they are packed, `write_tile` is the code of a tile.
    """

    builder: KernelBuilder
    shape: ConvShape
    tile: Tile
    blocks: tuple[ChannelBlock, ...]
    weight: Buffer
    base: int = 0
    weights_outside: bool = False
    parts: int = 0
    steps: int = 0
    write_tile: WriteTile = direct_tile

    @property
    def packed_steps(self) -> int:
        """Reduction steps of one output, those of padding included."""
        return self.steps or self.shape.steps

    @property
    def group_elements(self) -> int:
        """Packed weights of one group."""
        return self.packed_steps * sum(block.count * block.padded for block in self.blocks)

    @cached_property
    def spans(self) -> tuple[Run, ...]:
        """The tiles of a row."""
        return tuple(runs(self.shape.columns, self.tile.positions))

    @property
    def strips(self) -> int:
        """Rows of output, or tiles of the only one: a 1×1 convolution, a dense layer."""
        rows = self.shape.batch * self.shape.rows.out
        return rows if rows > 1 else sum(span.count for span in self.spans)

    def strip(self, site: Site, number: Expr) -> Stmt:
        """The tiles of strip `number`."""
        return (self._row if self.shape.batch * self.shape.rows.out > 1 else self._lone_tile)(site, number)

    def body(self) -> Stmt:
        """The loops around the tile, the outermost parallel."""
        blocks = self.shape.groups * sum(block.count for block in self.blocks)
        outer, inner, parts = order(self.shape, self.spans, blocks, outside=self.weights_outside, parts=self.parts)

        def at(block: Expr, number: Expr) -> Stmt:
            return self.at_block(block, lambda site: self.strip(site, number))

        if self.weights_outside:
            return over_parts(outer, inner, parts, at)
        return over_parts(outer, inner, parts, lambda number, block: at(block, number), parts_outside=True)

    def at_block(self, number: Expr, body: Callable[[Site], Stmt]) -> Stmt:
        """`body` at block `number` of all groups."""
        count = sum(block.count for block in self.blocks)
        group = tirx.floordiv(number, integer(count)) if self.shape.groups > 1 else integer(0)
        index = number - group * count if self.shape.groups > 1 else number
        first, *rest = self.blocks
        whole = body(self._site(group, first, index))
        if not rest:
            return whole
        return branch(index < integer(first.count), whole, body(self._site(group, rest[0], integer(0))))

    def _site(self, group: Expr, block: ChannelBlock, index: Expr) -> Site:
        steps = self.packed_steps
        first = integer(self.base + block.offset * steps) + group * self.group_elements + index * (steps * block.padded)
        return Site(self.builder, self.shape, self.weight, first, group, block, index)

    def _row(self, site: Site, number: Expr) -> Stmt:
        rows = self.shape.rows.out
        image = tirx.floordiv(number, integer(rows)) if self.shape.batch > 1 else integer(0)
        line = number - image * rows if self.shape.batch > 1 else number
        return seq([
            loop(
                "wo", span.count,
                lambda i, span=span: self.write_tile(site, span, image, line, i * span.width + span.start),
            )
            for span in self.spans
        ])  # fmt: skip

    def _lone_tile(self, site: Site, number: Expr) -> Stmt:
        """Tile `number` of the only row."""
        statement: Stmt | None = None
        before = sum(span.count for span in self.spans)
        for span in reversed(self.spans):
            before -= span.count
            column = (number - before) * span.width + span.start
            tile = self.write_tile(
                site, span, integer(0), integer(0), column if span.count > 1 else integer(span.start)
            )
            statement = tile if statement is None else branch(number < integer(before + span.count), tile, statement)
        assert statement is not None
        return statement


def order(
    shape: ConvShape, spans: Sequence[Run], blocks: int, *, outside: bool, parts: int = 0
) -> tuple[int, int, int]:
    """Steps of the outer loop and of the inner one, and into how many ranges that is cut (`parts`, or evenly).

    One loop runs over strips of output positions, the other over `blocks` of output channels, outermost if `outside`.
    """
    rows = shape.batch * shape.rows.out
    strips = rows if rows > 1 else sum(span.count for span in spans)
    outer, inner = (blocks, strips) if outside else (strips, blocks)
    return outer, inner, parts or even_parts(outer, inner)


def weights_outside(shape: ConvShape, tile: Tile, target: Target) -> bool:
    """Whether blocks of output channels make the better outer loop: where inputs would evict the weights each time."""
    one_tile = shape.batch * shape.rows.out == 1 and shape.columns.out <= tile.positions
    return one_tile or shape.weight_elements * 4 > target.l2 // 2
