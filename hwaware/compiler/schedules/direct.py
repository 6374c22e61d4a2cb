"""Direct convolution: register tiles of positions × channel vectors.

The inner loop broadcasts an input to the tile's row of accumulators and multiplies by weight vectors that lie next to
each other. It runs over the taps of a row and the input channels at once where they are neighbours in memory, so that
few input channels (a stem's three) still make a long loop.

Two loop orders: positions outermost, where the packed weights stay in the second-level cache and inputs stream once;
or blocks of output channels outermost, where weights do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from tvm import tirx

from hwaware.compiler.kernel import KernelBuilder, ceil_div
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.lanes import Scalar, over_channels
from hwaware.compiler.schedules.tile import ChannelBlock, Tile
from hwaware.compiler.schedules.window import Run, over_taps, runs
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import (
    Block,
    Buffer,
    Expr,
    Stmt,
    bind,
    branch,
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

# Threads among which the outer loop should divide evenly.
_THREADS = (2, 4)
# How much longer than the mean the longest share may be.
_UNEVEN = 0.03


@dataclass(frozen=True)
class DirectPlan:
    """A convolution with its tile, channel blocks and packed weights, which start at `base` of the buffer.

    `parts` is into how many pieces the loop that is not outermost is cut, to even out the threads' shares.
    """

    builder: KernelBuilder
    shape: ConvShape
    tile: Tile
    blocks: tuple[ChannelBlock, ...]
    weight: Buffer
    base: int = 0
    weights_outside: bool = False
    parts: int = 0

    @property
    def group_elements(self) -> int:
        """Packed weights of one group."""
        return self.shape.steps * sum(block.count * block.padded for block in self.blocks)

    @cached_property
    def spans(self) -> tuple[Run, ...]:
        """The tiles of a row."""
        return tuple(runs(self.shape.columns, self.tile.positions))

    def body(self) -> Stmt:
        """The loops around the tile, the outermost parallel."""
        blocks = self.shape.groups * sum(block.count for block in self.blocks)
        rows = self.shape.batch * self.shape.rows.out
        # A single long row (1×1 convolution, dense layer) is taken tile by tile.
        strips, strip = (rows, self._row) if rows > 1 else (sum(span.count for span in self.spans), self._lone_tile)

        def at(block: Expr, number: Expr) -> Stmt:
            return self._block(block, lambda site: strip(site, number))

        if self.weights_outside:
            return over_parts(blocks, strips, self.parts or even_parts(blocks, strips), at)
        parts = self.parts or even_parts(strips, blocks)
        return over_parts(strips, blocks, parts, lambda number, block: at(block, number), parts_outside=True)

    def _block(self, number: Expr, body: Callable[[Site], Stmt]) -> Stmt:
        """`body` at block `number` of all groups."""
        count = sum(block.count for block in self.blocks)
        group = tirx.floordiv(number, integer(count)) if self.shape.groups > 1 else integer(0)
        index = number - group * count if self.shape.groups > 1 else number
        first, *rest = self.blocks
        whole = body(Site(self, group, first, index))
        if not rest:
            return whole
        return branch(index < integer(first.count), whole, body(Site(self, group, rest[0], integer(0))))

    def _row(self, site: Site, number: Expr) -> Stmt:
        rows = self.shape.rows.out
        image = tirx.floordiv(number, integer(rows)) if self.shape.batch > 1 else integer(0)
        line = number - image * rows if self.shape.batch > 1 else number
        return seq([
            loop("wo", span.count, lambda i, span=span: _tile(site, span, image, line, i * span.width + span.start))
            for span in self.spans
        ])  # fmt: skip

    def _lone_tile(self, site: Site, number: Expr) -> Stmt:
        """Tile `number` of the only row."""
        statement: Stmt | None = None
        before = sum(span.count for span in self.spans)
        for span in reversed(self.spans):
            before -= span.count
            column = (number - before) * span.width + span.start
            tile = _tile(site, span, integer(0), integer(0), column if span.count > 1 else integer(span.start))
            statement = tile if statement is None else branch(number < integer(before + span.count), tile, statement)
        assert statement is not None
        return statement


def weights_outside(shape: ConvShape, tile: Tile, target: Target) -> bool:
    """Whether blocks of output channels make the better outer loop: where inputs would evict the weights each time."""
    one_tile = shape.batch * shape.rows.out == 1 and shape.columns.out <= tile.positions
    return one_tile or shape.weight_elements * 4 > target.l2 // 2


def even_parts(outer: int, inner: int) -> int:
    """Into how many pieces to cut the inner loop so that few threads get nearly equal shares of outer × pieces."""

    def waste(parts: int) -> float:
        total = outer * parts
        return max(ceil_div(total, threads) * threads / total for threads in _THREADS) - 1

    possible = [parts for parts in (1, 2, 4) if parts <= inner]
    return min(possible, key=lambda parts: (round(max(0.0, waste(parts) - _UNEVEN), 2), parts))


def over_parts(
    outer: int, inner: int, parts: int, body: Callable[[Expr, Expr], Stmt], *, parts_outside: bool = False
) -> Stmt:
    """`body(i, j)` for all i < outer, j < inner, parallel over i and `parts` ranges of j.

    `parts_outside` puts the ranges outermost, so that a thread that has half of them reads only half the weights.
    """
    parts = max(1, min(parts, inner))
    if parts == 1:
        return loop("outer", outer, lambda i: loop("inner", inner, lambda j: body(i, j)), "parallel")
    # The first `longer` ranges take one more.
    size, longer = divmod(inner, parts)

    def step(number: Expr) -> Stmt:
        part = tirx.floordiv(number, integer(outer)) if parts_outside else tirx.floormod(number, integer(parts))
        i = number - part * outer if parts_outside else tirx.floordiv(number, integer(parts))
        low = part * size + tirx.min(part, integer(longer))
        count = tirx.Select(part < integer(longer), integer(size + 1), integer(size)) if longer else size
        # The loop starts at 0: TVM's simplifier forgets another start where the variable is divided further in.
        return loop("inner", count, lambda j: body(i, low + j))

    return loop("outer", outer * parts, step, "parallel")


@dataclass(frozen=True)
class Site:
    """Which output channels a tile computes: block `index` of a group."""

    plan: DirectPlan
    group: Expr
    block: ChannelBlock
    index: Expr


def _tile(site: Site, span: Run, image: Expr, row: Expr, column: Expr) -> Stmt:
    """One register tile: zero, reduce over taps and input channels, epilogue, store."""
    block = site.block
    # A buffer a vector: LLVM keeps each in a register only if all accesses to it are of one width.
    accumulators = [[local(f"acc{p}_{v}", width) for v, width in enumerate(block.widths)] for p in range(span.width)]
    flat = [buffer for row_ in accumulators for buffer in row_]
    zero = [
        store(accumulator, integer(0), const(0.0, width), width)
        for row_ in accumulators
        for accumulator, width in zip(row_, block.widths, strict=True)
    ]
    shape = site.plan.shape

    def line(r: Expr) -> Stmt:
        at = image * shape.rows.size + (row * shape.rows.stride - shape.rows.pad + r * shape.rows.dilation)
        return seq([_taps(site, taps, at, column, r, accumulators) for taps in _segments(site.plan, span)])

    reduce = over_taps(shape.rows, row, line)
    return with_local(flat, seq([*zero, reduce, *_write(site, span, image, row, column, accumulators)]))


@dataclass(frozen=True)
class Taps:
    """`count` horizontal taps from `first` that are neighbours in memory, and the positions they are inside for."""

    first: int
    count: int
    positions: tuple[int, ...]


def _segments(plan: DirectPlan, span: Run) -> list[Taps]:
    """The horizontal taps of a tile, joined where one loop can run through several."""
    axis = plan.shape.columns
    joined = axis.dilation == 1 and plan.builder.workload.in_pitch == plan.shape.cg
    result: list[Taps] = []
    for s in range(axis.taps):
        # In a run of several tiles all taps are inside; a tile alone knows its columns.
        valid = tuple(p for p in range(span.width) if span.count > 1 or axis.inside(span.start + p, s))
        if joined and result and result[-1].positions == valid:
            result[-1] = Taps(result[-1].first, result[-1].count + 1, valid)
        else:
            result.append(Taps(s, 1, valid))
    return [taps for taps in result if taps.positions]


def _taps(site: Site, taps: Taps, line: Expr, column: Expr, r: Expr, accumulators: list[list[Buffer]]) -> Stmt:
    """The multiply-adds of a row of the window over neighbouring taps and their input channels."""
    plan, block = site.plan, site.block
    shape = plan.shape
    axis = shape.columns
    weight_base = (
        integer(plan.base + block.offset * shape.steps)
        + site.group * plan.group_elements
        + site.index * (shape.steps * block.padded)
        + ((r * axis.taps + taps.first) * shape.cg) * block.padded
    )
    pitch = plan.builder.workload.in_pitch
    first = column * axis.stride + (taps.first * axis.dilation - axis.pad)
    # Named, as LLVM else computes each position's address anew in every step.
    names = Block()
    pixel = names.keep((line * axis.size + first) * pitch + site.group * shape.cg, 1)

    def source(p: int, c: Expr, width: int) -> Expr:
        return load(plan.builder.inputs[0], pixel + (p * axis.stride * pitch) + c, width)

    def step(c: Expr, scalar: Scalar) -> Stmt:
        statements: list[Stmt | None] = []
        vectors = []
        for start, width in zip(block.starts, block.widths, strict=True):
            name, bound = bind(f"w{start}", load(plan.weight, weight_base + c * block.padded + start, width))
            vectors.append(name)
            statements.append(bound)
        for p in taps.positions:
            value, read = scalar(p)
            statements.append(read)
            for accumulator, width, vector in zip(accumulators[p], block.widths, vectors, strict=True):
                updated = load(accumulator, integer(0), width) + splat(value, width) * vector
                statements.append(store(accumulator, integer(0), updated, width))
        return seq(statements)

    reduce = over_channels(taps.count * shape.cg, plan.builder.target.lane_fma, taps.positions, source, step)
    return seq([*names.statements, reduce])


def _write(site: Site, span: Run, image: Expr, row: Expr, column: Expr, accumulators: list[list[Buffer]]) -> list[Stmt]:
    """Epilogue and stores, in pieces that cover exactly the real channels."""
    plan, block = site.plan, site.block
    shape = plan.shape
    channels = shape.groups * shape.kg
    channel0 = site.group * shape.kg + site.index * block.valid + block.start
    line = image * shape.out_size[0] + row * shape.out_stride[0] + shape.out_start[0]
    statements = []
    for p in range(span.width):
        position = (column + p) * shape.out_stride[1] + shape.out_start[1]
        pixel = line * shape.out_size[1] + position
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
