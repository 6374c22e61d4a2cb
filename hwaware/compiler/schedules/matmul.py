"""Batched matrix products: register tiles of rows × vectors of columns.

The columns of b must be neighbours in memory. A transposed b is turned round in scratch memory first, which is one pass
over it against `rows` passes of the product; products of few rows are dot products instead.
"""

from __future__ import annotations

from tvm import tirx

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.plain import row_reduction
from hwaware.compiler.schedules.tile import Tile, fitted, ranked_tiles
from hwaware.compiler.schedules.window import Axis, Run, runs
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import (
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
from hwaware.graph.workload import Workload

# A product of fewer rows does not pay for turning b round. Measured on Zen 4: both take as long at about 20.
_FEW_ROWS = 20
# Columns that one step of turning b round writes: their lines stay in the first-level cache until they are read up.
_TURNED = 128


def matmul_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Register tiles of several shapes; dot products for few rows of a transposed b."""
    rows, columns = workload.inputs[0].shape[1], workload.output.shape[-1]
    tiles = ranked_tiles(min(rows, 4096), columns, target)[:3]
    tiled = [Choice.of("matmul", rows=tile.positions, vectors=tile.vectors) for tile in tiles]
    if not workload.attr("transposed"):
        return tiled
    dot = Choice.of("matmul_dot")
    return [dot, tiled[0]] if rows < _FEW_ROWS else [*tiled, dot]


def matmul(builder: KernelBuilder) -> Kernel:
    """Schedule of ``matmul`` by register tiles; parameters `rows` and `vectors` of the tile."""
    builder.declare_steps()
    work, target = builder.workload, builder.target
    batch, m, k = work.inputs[0].shape
    n = work.output.shape[-1]
    choice = builder.choice
    tile = fitted(Tile(choice.get("rows", 4), choice.get("vectors", 4)), m, n, target)
    spans = tuple(runs(Axis(m, m, 1), tile.positions))
    b = builder.inputs[1]
    before: list[Stmt] = []
    if work.attr("transposed"):
        b = builder.scratch("turned", batch * k * n)
        before.append(_turn(builder.inputs[1], b, batch, k, n))
    size = tile.vectors * target.lanes

    def strip(number: Expr) -> Stmt:
        image = tirx.floordiv(number, integer(sum(span.count for span in spans)))
        index = number - image * sum(span.count for span in spans)
        return seq([
            loop("jo", n // size, lambda j: rows(image, index, j * size, [target.lanes] * tile.vectors)),
            rows(image, index, integer(n // size * size), [width for _, width in pieces(n % size, target.lanes)]),
        ])  # fmt: skip

    def rows(image: Expr, index: Expr, column: Expr, widths: list[int]) -> Stmt:
        """The tile of span `index`: whole ones first, then a lower one."""
        if not widths:
            return seq([])
        first, *rest = spans
        whole = _tile(builder, b, image, first, index * first.width, column, widths)
        if not rest:
            return whole
        low = _tile(builder, b, image, rest[0], integer(rest[0].start), column, widths)
        return branch(index < integer(first.count), whole, low)

    body = loop("strip", batch * sum(span.count for span in spans), strip, "parallel")
    return builder.finish(seq([*before, body]))


def _tile(
    builder: KernelBuilder, b: Buffer, image: Expr, span: Run, row: Expr, column: Expr, widths: list[int]
) -> Stmt:
    """Rows from `row` and columns from `column` of one image's product."""
    _, m, k = builder.workload.inputs[0].shape
    n = builder.workload.output.shape[-1]
    starts = [sum(widths[:index]) for index in range(len(widths))]
    sums = [[local(f"acc{p}_{v}", width) for v, width in enumerate(widths)] for p in range(span.width)]
    zero = [store(total, integer(0), const(0.0, w), w) for line in sums for total, w in zip(line, widths, strict=True)]

    def step(i: Expr) -> Stmt:
        statements = []
        vectors = []
        for start, width in zip(starts, widths, strict=True):
            name, bound = bind(f"b{start}", load(b, (image * k + i) * n + column + start, width))
            vectors.append(name)
            statements.append(bound)
        for p in range(span.width):
            scalar, bound = bind(f"a{p}", load(builder.inputs[0], (image * m + row + p) * k + i))
            statements.append(bound)
            for total, width, vector in zip(sums[p], widths, vectors, strict=True):
                added = load(total, integer(0), width) + splat(scalar, width) * vector
                statements.append(store(total, integer(0), added, width))
        return seq(statements)

    writes = [
        builder.write(load(total, integer(0), w), w, (image * m + row + p) * n + column + start, column + start)
        for p, line in enumerate(sums)
        for total, start, w in zip(line, starts, widths, strict=True)
    ]
    return with_local([total for line in sums for total in line], seq([*zero, loop("i", k, step), *writes]))


def _turn(source: Buffer, target: Buffer, batch: int, k: int, n: int) -> Stmt:
    """(batch, n, k) as (batch, k, n)."""
    blocks = ceil_div(n, _TURNED)

    def block(number: Expr) -> Stmt:
        image = tirx.floordiv(number, integer(blocks))
        first = (number - image * blocks) * _TURNED
        count = n if blocks == 1 else tirx.min(integer(_TURNED), n - first)

        def line(i: Expr) -> Stmt:
            return loop("j", count, lambda j: store(
                target, (image * k + i) * n + first + j, load(source, (image * n + first + j) * k + i)))  # fmt: skip

        return loop("i", k, line)

    return loop("block", batch * blocks, block, "parallel")


def matmul_dot(builder: KernelBuilder) -> Kernel:
    """Schedule of ``matmul`` with a transposed b by dot products of rows."""
    builder.declare_steps()
    batch, m, k = builder.workload.inputs[0].shape
    n = builder.workload.output.shape[-1]
    a, b = builder.inputs[0], builder.inputs[1]

    def row(number: Expr) -> Stmt:
        image = tirx.floordiv(number, integer(m))

        def column(j: Expr) -> Stmt:
            at_b = (image * n + j) * k
            statements, value = row_reduction(
                builder, k, "sum", lambda _, at, w: load(a, number * k + at, w) * load(b, at_b + at, w)
            )
            return seq([*statements, builder.write(value, 1, number * n + j, j)])

        return loop("j", n, column)

    return builder.finish(loop("row", batch * m, row, "parallel"))
