"""The register tile of a direct convolution: zero, multiply and add over the window, epilogue, store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hwaware.compiler.kernel import KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.lanes import Scalar, over_channels
from hwaware.compiler.schedules.tile import ChannelBlock
from hwaware.compiler.schedules.window import Run, over_taps
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
    pieces,
    seq,
    splat,
    store,
    with_local,
)

# (site, reduction step, first channel within the block, lanes) -> weights as float32.
Decode = Callable[["Site", Expr, int, int], Expr]


@dataclass(frozen=True)
class Site:
    """Which output channels a tile computes: block `index` of a group, whose packed weights start at `first_weight`."""

    builder: KernelBuilder
    shape: ConvShape
    weight: Buffer
    first_weight: Expr
    group: Expr
    block: ChannelBlock
    index: Expr


def direct_tile(site: Site, span: Run, image: Expr, row: Expr, column: Expr, decode: Decode | None = None) -> Stmt:
    """One register tile: zero, reduce over taps and input channels, epilogue, store.

    Weights that are not stored as float32 go through `decode`.
    """
    block = site.block
    # A buffer a vector: LLVM keeps each in a register only if all accesses to it are of one width.
    accumulators = [[local(f"acc{p}_{v}", width) for v, width in enumerate(block.widths)] for p in range(span.width)]
    flat = [buffer for row_ in accumulators for buffer in row_]
    zero = [
        store(accumulator, integer(0), const(0.0, width), width)
        for row_ in accumulators
        for accumulator, width in zip(row_, block.widths, strict=True)
    ]
    shape = site.shape

    def line(r: Expr) -> Stmt:
        at = image * shape.rows.size + (row * shape.rows.stride - shape.rows.pad + r * shape.rows.dilation)
        return seq([_taps(site, taps, at, column, r, accumulators, decode) for taps in _segments(site, span)])

    reduce = over_taps(shape.rows, row, line)
    return with_local(flat, seq([*zero, reduce, *write_tile(site, span, image, row, column, accumulators)]))


@dataclass(frozen=True)
class Taps:
    """`count` horizontal taps from `first` that are neighbours in memory, and the positions they are inside for."""

    first: int
    count: int
    positions: tuple[int, ...]


def _segments(site: Site, span: Run) -> list[Taps]:
    """The horizontal taps of a tile, joined where one loop can run through several."""
    axis = site.shape.columns
    joined = axis.dilation == 1 and site.builder.workload.in_pitch == site.shape.cg
    result: list[Taps] = []
    for s in range(axis.taps):
        # In a run of several tiles all taps are inside; a tile alone knows its columns.
        valid = tuple(p for p in range(span.width) if span.count > 1 or axis.inside(span.start + p, s))
        if joined and result and result[-1].positions == valid:
            result[-1] = Taps(result[-1].first, result[-1].count + 1, valid)
        else:
            result.append(Taps(s, 1, valid))
    return [taps for taps in result if taps.positions]


def _taps(
    site: Site,
    taps: Taps,
    line: Expr,
    column: Expr,
    r: Expr,
    accumulators: list[list[Buffer]],
    decode: Decode | None,
) -> Stmt:
    """The multiply-adds of a row of the window over neighbouring taps and their input channels."""
    block, shape = site.block, site.shape
    axis = shape.columns
    first_weight = site.first_weight + ((r * axis.taps + taps.first) * shape.cg) * block.padded
    pitch = site.builder.workload.in_pitch
    first = column * axis.stride + (taps.first * axis.dilation - axis.pad)
    # Named, as LLVM else computes each position's address anew in every step.
    names = Block()
    pixel = names.keep((line * axis.size + first) * pitch + site.group * shape.cg, 1)

    def source(p: int, c: Expr, width: int) -> Expr:
        return load(site.builder.inputs[0], pixel + (p * axis.stride * pitch) + c, width)

    def step(c: Expr, scalar: Scalar) -> Stmt:
        statements: list[Stmt | None] = []
        vectors = []
        for start, width in zip(block.starts, block.widths, strict=True):
            if decode is None:
                weights = load(site.weight, first_weight + c * block.padded + start, width)
            else:
                weights = decode(site, (r * axis.taps + taps.first) * shape.cg + c, start, width)
            name, bound = bind(f"w{start}", weights)
            vectors.append(name)
            statements.append(bound)
        for p in taps.positions:
            value, read = scalar(p)
            statements.append(read)
            for accumulator, width, vector in zip(accumulators[p], block.widths, vectors, strict=True):
                updated = load(accumulator, integer(0), width) + splat(value, width) * vector
                statements.append(store(accumulator, integer(0), updated, width))
        return seq(statements)

    reduce = over_channels(taps.count * shape.cg, site.builder.target.lane_fma, taps.positions, source, step)
    return seq([*names.statements, reduce])


def write_tile(
    site: Site, span: Run, image: Expr, row: Expr, column: Expr, accumulators: list[list[Buffer]]
) -> list[Stmt]:
    """Epilogue and stores, in pieces that cover exactly the real channels."""
    block, shape = site.block, site.shape
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
    builder = site.builder
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
