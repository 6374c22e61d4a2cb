"""The tiles of a depthwise convolution: several rows whose windows lie inside the image, or one row anywhere."""

from __future__ import annotations

from dataclasses import dataclass

from hwaware.compiler.kernel import KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.depthwise_weights import Filters
from hwaware.compiler.schedules.window import Run, over_taps
from hwaware.compiler.tir import (
    Buffer,
    Expr,
    Stmt,
    bind,
    cast,
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


@dataclass(frozen=True)
class Sums:
    """How a tile's sums of `dtype` come about: in floating point, or in integers with `bias` and `zero`.

    Integer sums are of levels, and begin with the biases less zero · Σ w: a tap in the padding, where the number is 0,
    counts as the level `zero`.
    """

    dtype: str = "float32"
    bias: Buffer | None = None
    zero: Buffer | None = None

    def start(self, channel: Expr, width: int) -> Expr:
        """What the sums of `width` channels begin with."""
        return const(0.0, width) if self.bias is None else load(self.bias, channel, width)

    def wide(self, value: Expr, width: int) -> Expr:
        """Inputs or weights, in the type of the sums."""
        return value if _type_of(value) == self.dtype else cast(self.dtype, value, width)

    def padding(self, width: int) -> Expr | None:
        """What a tap in the padding reads, None where that adds nothing."""
        return None if self.zero is None else splat(load(self.zero, integer(0)), width)


def _type_of(value: Expr) -> str:
    return str(value.ty.dtype).split("x")[0]


FLOAT = Sums()


@dataclass(frozen=True)
class Site:
    """Where a tile computes: `valid` channels from `channel` on, columns of `span` from `column` on."""

    builder: KernelBuilder
    shape: ConvShape
    weights: Filters
    image: Expr
    row: Expr
    channel: Expr
    valid: int
    span: Run
    column: Expr
    sums: Sums = FLOAT

    def input(self, line: Expr, at: int, offset: int, width: int) -> Expr:
        """Inputs at image line `line`, `at` columns right of the tile's first tap."""
        axis = self.shape.columns
        first = self.column * axis.stride + (at - axis.pad)
        pixel = (self.image * self.shape.rows.size + line) * axis.size + first
        at_channel = pixel * self.builder.workload.in_pitch + self.channel + offset
        return self.sums.wide(load(self.builder.inputs[0], at_channel, width), width)

    def filters(self, r: Expr | int, s: int, offset: int, width: int) -> Expr:
        """Weights of tap (r, s)."""
        tap = r * self.shape.columns.taps + s
        return self.sums.wide(self.weights.vector(tap, self.channel + offset, width), width)

    def inside(self, p: int, s: int) -> bool:
        """Whether tap s of position p is; in a run of several tiles all are."""
        return self.span.count > 1 or self.shape.columns.inside(self.span.start + p, s)

    def write(self, total: Buffer, q: int, p: int, offset: int, width: int) -> Stmt:
        """Epilogue and store of the sums at row q and position p of the tile."""
        size = self.shape.out_size
        pixel = (self.image * size[0] + self.row + q) * size[1] + self.column + p
        channel = self.channel + offset
        return self.builder.write(load(total, integer(0), width), width, pixel * self.shape.groups + channel, channel)


Accumulators = dict[tuple[int, int, int], Buffer]


def _begin(site: Site, rows: int) -> tuple[Accumulators, list[tuple[int, int]], list[Stmt]]:
    """Accumulators by row, position and channel offset; the vectors as (offset, width); statements that begin them."""
    widths = pieces(site.valid, site.builder.target.lanes)
    sums: Accumulators = {}
    begin = []
    for offset, width in widths:
        first, bound = bind(f"b{offset}", site.sums.start(site.channel + offset, width))
        begin.append(bound)
        for q in range(rows):
            for p in range(site.span.width):
                sums[q, p, offset] = local(f"acc{q}_{p}_{offset}", width, site.sums.dtype)
                begin.append(store(sums[q, p, offset], integer(0), first, width))
    return sums, widths, begin


def _finish(site: Site, sums: Accumulators, widths: list[tuple[int, int]], statements: list[Stmt]) -> Stmt:
    width_of = dict(widths)
    writes = [site.write(total, q, p, offset, width_of[offset]) for (q, p, offset), total in sums.items()]
    return with_local(list(sums.values()), seq([*statements, *writes]))


def _add(total: Buffer, product: Expr, width: int) -> Stmt:
    return store(total, integer(0), load(total, integer(0), width) + product, width)


def band_tile(site: Site, rows: int) -> Stmt:
    """A tile of `rows` rows: every input is loaded once, for all the outputs that it is a tap of."""
    down, across = site.shape.rows, site.shape.columns
    sums, widths, statements = _begin(site, rows)
    for line in range((rows - 1) * down.stride + (down.taps - 1) * down.dilation + 1):
        vertical = [
            (q, r) for q in range(rows) if (r := _tap_at(line - q * down.stride, down.dilation, down.taps)) is not None
        ]
        for at in range((site.span.width - 1) * across.stride + (across.taps - 1) * across.dilation + 1):
            horizontal = [
                (p, s)
                for p in range(site.span.width)
                if (s := _tap_at(at - p * across.stride, across.dilation, across.taps)) is not None
                and site.inside(p, s)
            ]
            if not vertical or not horizontal:
                continue
            for offset, width in widths:
                image_line = site.row * down.stride + (line - down.pad)
                value, bound = bind(f"x{line}_{at}_{offset}", site.input(image_line, at, offset, width))
                statements.append(bound)
                statements += [
                    _add(sums[q, p, offset], value * site.filters(r, s, offset, width), width)
                    for q, r in vertical
                    for p, s in horizontal
                ]
    for offset, width in widths:
        padding = site.sums.padding(width)
        statements += [
            _add(sums[q, p, offset], padding * site.filters(r, s, offset, width), width)
            for s in range(across.taps)
            for p in range(site.span.width)
            if padding is not None and not site.inside(p, s)
            for r in range(down.taps)
            for q in range(rows)
        ]
    return _finish(site, sums, widths, statements)


def _tap_at(distance: int, dilation: int, taps: int) -> int | None:
    """Which tap lies `distance` from the first, if any."""
    tap, rest = divmod(distance, dilation)
    return tap if rest == 0 and 0 <= tap < taps else None


def row_tile(site: Site) -> Stmt:
    """A tile of one row, which may touch the upper and lower border."""
    down, across = site.shape.rows, site.shape.columns
    sums, widths, begin = _begin(site, 1)

    def taps_of(r: Expr) -> Stmt:
        statements = []
        line = site.row * down.stride - down.pad + r * down.dilation
        for s in range(across.taps):
            for offset, width in widths:
                padding = site.sums.padding(width)
                if padding is None and not any(site.inside(p, s) for p in range(site.span.width)):
                    continue
                vector, bound = bind(f"w{s}_{offset}", site.filters(r, s, offset, width))
                statements.append(bound)
                for p in range(site.span.width):
                    if site.inside(p, s):
                        value = site.input(line, p * across.stride + s * across.dilation, offset, width)
                    elif padding is not None:
                        value = padding
                    else:
                        continue
                    statements.append(_add(sums[0, p, offset], value * vector, width))
        return seq(statements)

    def padded(r: Expr) -> Stmt:
        """A row of the window that lies above or below the image."""
        statements = []
        for offset, width in widths:
            padding = site.sums.padding(width)
            for s in range(across.taps) if padding is not None else ():
                lost, bound = bind(f"z{s}_{offset}", padding * site.filters(r, s, offset, width))
                statements.append(bound)
                statements += [_add(sums[0, p, offset], lost, width) for p in range(site.span.width)]
        return seq(statements)

    beyond = padded if site.sums.zero is not None else None
    return _finish(site, sums, widths, [*begin, over_taps(down, site.row, taps_of, beyond)])
