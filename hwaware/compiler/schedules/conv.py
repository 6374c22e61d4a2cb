"""Direct convolution and dense layers: register tiles of positions × channel vectors.

Weights are packed ``[group][block][r][s][c][channel of the block]``; the inner loop over input channels broadcasts an
input to the tile's row of accumulators and multiplies by weight vectors that lie next to each other. Where the
packed weights fit the second-level cache, rows are outermost and inputs stream once; else blocks of output channels
are, and weights do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.tile import ChannelBlock, Tile, channel_blocks, choose_tile
from hwaware.compiler.schedules.window import Axis, Run, over_taps, runs
from hwaware.compiler.tir import (
    Block,
    Buffer,
    Expr,
    Stmt,
    bind,
    const,
    integer,
    load,
    local,
    loop,
    pieces,
    seq,
    splat,
    store,
    with_local,
)


@dataclass(frozen=True)
class ConvShape:
    """A convolution as the tile sees it; `out_*` map its rows and columns into the output image.

    `cg` and `kg` are input and output channels of a group. Output position (i, j) of the loops goes to row
    i·out_stride[0] + out_start[0] of the image, likewise for columns: a transposed convolution is several of these.
    """

    batch: int
    groups: int
    cg: int
    kg: int
    rows: Axis
    columns: Axis
    out_size: tuple[int, int]
    out_stride: tuple[int, int] = (1, 1)
    out_start: tuple[int, int] = (0, 0)

    @property
    def weight_elements(self) -> int:
        """Unpadded weights."""
        return self.groups * self.kg * self.cg * self.rows.taps * self.columns.taps


def conv2d(builder: KernelBuilder) -> Kernel:
    """Schedule of ``conv2d``: 1×1 without padding runs as one long row."""
    shape = conv_shape(builder)
    tile = choose_tile(min(shape.columns.out, 4096), shape.kg, builder.target)
    blocks = channel_blocks(shape.kg, tile.vectors, builder.target.lanes)
    weight = builder.constant("weight", packed_size(shape, blocks), lambda c: pack(c["weight"], shape, blocks))
    builder.declare_steps()
    return builder.finish(ConvPlan(builder, shape, tile, blocks, weight).body())


def dense(builder: KernelBuilder) -> Kernel:
    """Schedule of ``dense``: rows are the positions of a 1×1 convolution."""
    rows, features = builder.workload.inputs[0].shape
    outputs = builder.workload.output.shape[-1]
    shape = ConvShape(1, 1, features, outputs, Axis(1, 1, 1), Axis(rows, rows, 1), (1, rows))
    tile = choose_tile(min(rows, 4096), outputs, builder.target)
    blocks = channel_blocks(outputs, tile.vectors, builder.target.lanes)

    def pack_dense(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return pack(constants["weight"][:, :, None, None], shape, blocks)

    weight = builder.constant("weight", packed_size(shape, blocks), pack_dense)
    builder.declare_steps()
    return builder.finish(ConvPlan(builder, shape, tile, blocks, weight).body())


def conv_shape(builder: KernelBuilder) -> ConvShape:
    """Extents of a ``conv2d`` workload."""
    work = builder.workload
    n, h, w, c = work.inputs[0].shape
    _, out_h, out_w, k = work.output.shape
    (r, s), stride, pad, dilation = (work.ints(x) for x in ("kernel", "stride", "padding", "dilation"))
    groups = work.attr("groups")
    assert isinstance(groups, int)
    cg, kg = c // groups, k // groups
    if (r, s) == (1, 1) and stride == (1, 1) and pad == (0, 0):
        length = n * h * w
        return ConvShape(1, groups, cg, kg, Axis(1, 1, 1), Axis(length, length, 1), (1, length))
    rows = Axis(h, out_h, r, stride[0], pad[0], dilation[0])
    columns = Axis(w, out_w, s, stride[1], pad[1], dilation[1])
    return ConvShape(n, groups, cg, kg, rows, columns, (out_h, out_w))


def packed_size(shape: ConvShape, blocks: tuple[ChannelBlock, ...]) -> int:
    """Elements of the packed weights."""
    steps = shape.rows.taps * shape.columns.taps * shape.cg
    return shape.groups * steps * sum(block.count * block.padded for block in blocks)


def pack(weight: np.ndarray, shape: ConvShape, blocks: tuple[ChannelBlock, ...]) -> np.ndarray:
    """(K, C/g, R, S) weights in the order the tile reads them, padding zero."""
    weight = weight.reshape(shape.groups, shape.kg, shape.cg, shape.rows.taps, shape.columns.taps)
    parts = []
    for group in range(shape.groups):
        for block in blocks:
            for index in range(block.count):
                start = block.start + index * block.valid
                part = weight[group, start : start + block.valid].transpose(2, 3, 1, 0)
                missing = block.padded - block.valid
                parts.append(np.pad(part, ((0, 0), (0, 0), (0, 0), (0, missing))).reshape(-1))
    return np.concatenate(parts).astype(np.float32)


@dataclass(frozen=True)
class ConvPlan:
    """A convolution with its tile, channel blocks and packed weights, which start at `base` of the buffer."""

    builder: KernelBuilder
    shape: ConvShape
    tile: Tile
    blocks: tuple[ChannelBlock, ...]
    weight: Buffer
    base: int = 0

    @property
    def steps(self) -> int:
        """Reduction steps of one output."""
        return self.shape.rows.taps * self.shape.columns.taps * self.shape.cg

    @property
    def group_elements(self) -> int:
        """Packed weights of one group."""
        return self.steps * sum(block.count * block.padded for block in self.blocks)

    def body(self) -> Stmt:
        """The loops around the tile, the outermost parallel."""
        shape = self.shape
        spans = list(runs(shape.columns, self.tile.positions))
        rows = shape.batch * shape.rows.out
        weights_outside = shape.weight_elements * 4 > self.builder.target.l2 // 2
        if rows == 1 and not weights_outside and sum(span.count for span in spans) > 1:
            return seq([self._tiles_outside(span) for span in spans])
        if weights_outside or rows == 1:
            return seq([
                loop(
                    "ko", block.count * shape.groups,
                    lambda outer, block=block: loop("row", rows, lambda row: self._row(row, block, outer, spans)),
                    "parallel",
                )
                for block in self.blocks
            ])  # fmt: skip
        return loop("row", rows, lambda row: seq([
            loop(
                "ko", block.count * shape.groups, lambda outer, block=block: self._row(row, block, outer, spans)
            )
            for block in self.blocks
        ]), "parallel")  # fmt: skip

    def _tiles_outside(self, span: Run) -> Stmt:
        """A single long row (1×1 convolution, dense layer): parallel over its tiles."""

        def tile(number: Expr) -> Stmt:
            column = number * span.width + span.start
            return seq([
                loop(
                    "ko", block.count * self.shape.groups,
                    lambda outer, block=block: _tile(self._site(integer(0), block, outer), span, column),
                )
                for block in self.blocks
            ])  # fmt: skip

        return loop("tile", span.count, tile, "parallel")

    def _row(self, row: Expr, block: ChannelBlock, outer: Expr, spans: list[Run]) -> Stmt:
        site = self._site(row, block, outer)
        return seq([
            loop("wo", span.count, lambda number, span=span: _tile(site, span, number * span.width + span.start))
            for span in spans
        ])  # fmt: skip

    def _site(self, row: Expr, block: ChannelBlock, outer: Expr) -> Site:
        shape = self.shape
        group = tirx.floordiv(outer, integer(block.count)) if shape.groups > 1 else integer(0)
        index = outer - group * block.count if shape.groups > 1 else outer
        image = tirx.floordiv(row, integer(shape.rows.out)) if shape.batch > 1 else integer(0)
        line = row - image * shape.rows.out if shape.batch > 1 else row
        return Site(self, image, group, line, block, index)


@dataclass(frozen=True)
class Site:
    """Where a tile computes: the symbolic coordinates of the loops around it."""

    plan: ConvPlan
    image: Expr
    group: Expr
    row: Expr
    block: ChannelBlock
    index: Expr


def _tile(site: Site, span: Run, column: Expr) -> Stmt:
    """One register tile: zero, reduce over taps and input channels, epilogue, store."""
    block = site.block
    # A buffer a vector: LLVM keeps each in a register only if all accesses to it are of one width.
    accumulators = [[local(f"acc{p}_{v}", width) for v, width in enumerate(block.widths)] for p in range(span.width)]
    flat = [buffer for row in accumulators for buffer in row]
    zero = [
        store(accumulator, integer(0), const(0.0, width), width)
        for row in accumulators
        for accumulator, width in zip(row, block.widths, strict=True)
    ]
    reduce = over_taps(
        site.plan.shape.rows,
        site.row,
        lambda r: seq([_tap(site, span, column, r, s, accumulators) for s in range(site.plan.shape.columns.taps)]),
    )
    return with_local(flat, seq([*zero, reduce, *_write(site, span, column, accumulators)]))


def _tap(site: Site, span: Run, column: Expr, r: Expr, s: int, accumulators: list[list[Buffer]]) -> Stmt | None:
    """The multiply-adds of one kernel position, over the input channels."""
    plan, block = site.plan, site.block
    shape = plan.shape
    axis = shape.columns
    # In a run of several tiles all taps are inside; a tile alone knows its columns.
    valid = [p for p in range(span.width) if span.count > 1 or axis.inside(span.start + p, s)]
    if not valid:
        return None
    weight_base = (
        integer(plan.base + block.offset * plan.steps)
        + site.group * plan.group_elements
        + site.index * (plan.steps * block.padded)
        + ((r * axis.taps + s) * shape.cg) * block.padded
    )
    line = site.row * shape.rows.stride - shape.rows.pad + r * shape.rows.dilation
    first = column * axis.stride + (s * axis.dilation - axis.pad)
    total = shape.groups * shape.cg
    pixel = ((site.image * shape.rows.size + line) * axis.size + first) * total + site.group * shape.cg

    def step(c: Expr) -> Stmt:
        statements = []
        vectors = []
        for start, width in zip(block.starts, block.widths, strict=True):
            source = load(plan.weight, weight_base + c * block.padded + start, width)
            name, bound = bind(f"w{start}", source)
            vectors.append(name)
            statements.append(bound)
        for p in valid:
            value = load(plan.builder.inputs[0], pixel + (p * axis.stride * total) + c)
            scalar, bound = bind(f"x{p}", value)
            statements.append(bound)
            for accumulator, width, vector in zip(accumulators[p], block.widths, vectors, strict=True):
                updated = load(accumulator, integer(0), width) + splat(scalar, width) * vector
                statements.append(store(accumulator, integer(0), updated, width))
        return seq(statements)

    return loop("c", shape.cg, step)


def _write(site: Site, span: Run, column: Expr, accumulators: list[list[Buffer]]) -> list[Stmt]:
    """Epilogue and stores, in pieces that cover exactly the real channels."""
    plan, block = site.plan, site.block
    shape = plan.shape
    channels = shape.groups * shape.kg
    channel0 = site.group * shape.kg + site.index * block.valid + block.start
    row = site.row * shape.out_stride[0] + shape.out_start[0]
    statements = []
    for p in range(span.width):
        position = (column + p) * shape.out_stride[1] + shape.out_start[1]
        pixel = (site.image * shape.out_size[0] + row) * shape.out_size[1] + position
        for start, width, total in zip(block.starts, block.widths, accumulators[p], strict=True):
            statements += _write_vector(site, total, start, width, pixel * channels, channel0)
    return statements


def _write_vector(site: Site, total: Buffer, start: int, width: int, pixel: Expr, channel0: Expr) -> list[Stmt]:
    """One vector of sums; a padded one goes through memory once and is stored in narrower pieces."""
    builder = site.plan.builder
    valid = min(width, site.block.valid - start)
    statements = []
    value = load(total, integer(0), width)
    if valid < width:
        block = Block()
        whole = block.spill(value, width)
        statements += block.statements
    for offset, piece in pieces(valid, width):
        if valid < width:
            value = load(whole, integer(offset), piece)
        channel = channel0 + (start + offset)
        statements.append(builder.write(value, piece, pixel + channel, channel))
    return statements
