"""Depthwise convolution: channels are the vector dimension, every channel its own filter.

Levels are added up as integers, with the weights' sum in the biases (`hwaware.compiler.schedules.integer`). A tile is
`rows` × `positions` outputs of one vector or two of channels. Each input of its window is loaded once and
added to all the outputs that it is a tap of, which spares loads from one row to the next. At the upper and lower
border rows are taken one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import tirx

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.conv_shape import ConvShape, conv_shape
from hwaware.compiler.schedules.depthwise_tiles import FLOAT, Site, Sums, band_tile, row_tile
from hwaware.compiler.schedules.depthwise_weights import Filters, filters
from hwaware.compiler.schedules.integer.biases import biases
from hwaware.compiler.schedules.parts import even_parts, over_parts
from hwaware.compiler.schedules.tile import ChannelBlock, channel_blocks, choose_depthwise, vector_widths
from hwaware.compiler.schedules.window import Run, runs
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import Expr, Stmt, branch, integer, loop, seq
from hwaware.graph.workload import Workload

# Multiply-adds of a column of the tile that are written out one by one: more take long to compile and gain nothing.
_MOST_ADDS = 50


def depthwise_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Tiles of two or three rows, through whose channels the loops run first; and of one row, channels outermost."""
    shape = conv_shape(workload)
    name = "integer_depthwise" if workload.inputs[0].dtype == "uint8" else "depthwise"
    if shape.batch * shape.rows.out == 1:
        return [Choice.of(name)]
    # Half of the registers hold sums, the others weights and inputs.
    sums = max(4, target.registers // 2)
    taps = shape.rows.taps * shape.columns.taps
    tall = [
        Choice.of(name, rows=rows, positions=_even(shape.columns.out, sums // rows), vectors=1, inside=1)
        for rows in (2, 3)
        if rows * taps <= _MOST_ADDS
    ]
    wide = choose_depthwise(shape.columns.out, shape.groups, target)
    return [*tall, Choice.of(name, rows=1, positions=wide.positions, vectors=wide.vectors, inside=0)]


def _even(positions: int, most: int) -> int:
    """The width of a tile of at most `most` that divides a row most evenly."""
    return ceil_div(positions, ceil_div(positions, max(1, most)))


def depthwise(builder: KernelBuilder) -> Kernel:
    """Schedules ``depthwise`` and ``integer_depthwise`` of ``conv2d`` with one input and one output channel a group.

    Parameters: `rows`, `positions` and `vectors` of the tile; `inside` 1 to run through the channels of a tile before
    the next one, 0 through the tiles of a row before the next channels.
    """
    shape, positions, rows, blocks = depthwise_tiles(builder.workload, builder.target, builder.choice)
    channels, choice = shape.groups, builder.choice
    taps = shape.rows.taps * shape.columns.taps
    padding = max(block.padded - block.valid for block in blocks)

    levels = builder.workload.inputs[0].dtype == "uint8"
    weights = filters(builder, channels, taps, padding)
    sums = FLOAT
    if levels:
        bias = builder.constant("bias", channels, biases(channels, 0), "int32")
        sums = Sums("int32", bias, builder.constant("zero", 1, lambda constants: constants["zero"], "int32"))
    builder.declare_steps()
    plan = DepthwisePlan(builder, shape, weights, blocks, tuple(runs(shape.columns, positions)), rows, sums)
    return builder.finish(plan.body(channels_inside=bool(choice.get("inside", 0))))


def depthwise_tiles(
    workload: Workload, target: Target, choice: Choice
) -> tuple[ConvShape, int, int, tuple[ChannelBlock, ...]]:
    """Extents; positions and rows of the tile that `choice` comes to at these widths; its blocks of channels."""
    # conv_shape flattens 1×1 windows; a depthwise 1×1 is then a row of positions as well.
    shape = conv_shape(workload)
    channels = shape.groups
    best = choose_depthwise(shape.columns.out, channels, target)
    positions = max(1, min(choice.get("positions", best.positions), shape.columns.out))
    vectors = max(1, min(choice.get("vectors", best.vectors), len(vector_widths(channels, target.lanes))))
    rows = max(1, min(choice.get("rows", 1), shape.rows.out))
    return shape, positions, rows, channel_blocks(channels, vectors, target.lanes)


# (image, row, first channel, real channels, run of tiles, first column) -> a tile.
TileBody = Callable[[Expr, Expr, Expr, int, Run, Expr], Stmt]


@dataclass(frozen=True)
class DepthwisePlan:
    """A depthwise convolution: its weights, the channels of a tile, its tiles along a row, its rows."""

    builder: KernelBuilder
    shape: ConvShape
    weights: Filters
    blocks: tuple[ChannelBlock, ...]
    spans: tuple[Run, ...]
    rows: int
    sums: Sums

    def body(self, *, channels_inside: bool) -> Stmt:
        """The loops around the tiles, the outermost parallel."""
        shape = self.shape
        if shape.batch * shape.rows.out == 1:
            return seq([
                loop(
                    "wo", span.count,
                    lambda i, span=span: self._all_channels(integer(0), integer(0), self._row_tile, span, i),
                    "parallel",
                )
                for span in self.spans
            ])  # fmt: skip
        bands = ceil_div(shape.rows.out, self.rows)
        strips = shape.batch * bands
        count = sum(block.count for block in self.blocks)

        def strip(number: Expr) -> Stmt:
            image, band = self._place(number, bands)
            return self._band(
                band,
                lambda row, tile: self._along(lambda span, i: self._all_channels(image, row, tile, span, i)),
            )

        def strip_of_block(number: Expr, index: Expr) -> Stmt:
            image, band = self._place(number, bands)

            def of_block(row: Expr, tile: TileBody) -> Stmt:
                return self._block(
                    index,
                    lambda channel, valid: self._along(
                        lambda span, i: tile(image, row, channel, valid, span, i * span.width + span.start)
                    ),
                )

            return self._band(band, of_block)

        if channels_inside:
            return loop("strip", strips, strip, "parallel")
        return over_parts(strips, count, even_parts(strips, count), strip_of_block, parts_outside=True)

    def _place(self, number: Expr, bands: int) -> tuple[Expr, Expr]:
        """Image and band of a strip."""
        if self.shape.batch == 1:
            return integer(0), number
        image = tirx.floordiv(number, integer(bands))
        return image, number - image * bands

    def _along(self, tile: Callable[[Run, Expr], Stmt]) -> Stmt:
        """The tiles of a row."""
        return seq([loop("wo", span.count, lambda i, span=span: tile(span, i)) for span in self.spans])

    def _block(self, index: Expr, body: Callable[[Expr, int], Stmt]) -> Stmt:
        """`body(first channel, channels)` of block `index`."""
        first, *rest = self.blocks
        whole = body(index * first.valid, first.valid)
        if not rest:
            return whole
        return branch(index < integer(first.count), whole, body(integer(rest[0].start), rest[0].valid))

    def _all_channels(self, image: Expr, row: Expr, tile: TileBody, span: Run, number: Expr) -> Stmt:
        column = number * span.width + span.start
        return seq([
            loop(
                "co", block.count,
                lambda i, block=block: tile(image, row, i * block.valid + block.start, block.valid, span, column),
            )
            for block in self.blocks
        ])  # fmt: skip

    def _band(self, band: Expr, along: Callable[[Expr, TileBody], Stmt]) -> Stmt:
        """`along(row, tile)` for the rows of a band: all at once inside the image, else one by one."""
        axis, rows = self.shape.rows, self.rows
        if rows == 1:
            return along(band, self._row_tile)
        count = rows if axis.out % rows == 0 else tirx.min(integer(rows), axis.out - band * rows)
        singly = loop("line", count, lambda i: along(band * rows + i, self._row_tile))
        whole = [b for b in range(axis.out // rows) if axis.interior(b * rows) and axis.interior((b + 1) * rows - 1)]
        if not whole:
            return singly
        together = along(band * rows, self._band_tile)
        if len(whole) * rows == axis.out:
            return together
        return branch(tirx.all(band >= integer(whole[0]), band <= integer(whole[-1])), together, singly)

    def _band_tile(self, image: Expr, row: Expr, channel: Expr, valid: int, span: Run, column: Expr) -> Stmt:
        return band_tile(self._site(image, row, channel, valid, span, column), self.rows)

    def _row_tile(self, image: Expr, row: Expr, channel: Expr, valid: int, span: Run, column: Expr) -> Stmt:
        return row_tile(self._site(image, row, channel, valid, span, column))

    def _site(self, image: Expr, row: Expr, channel: Expr, valid: int, span: Run, column: Expr) -> Site:
        return Site(self.builder, self.shape, self.weights, image, row, channel, valid, span, column, self.sums)
