"""The two transforms of a Winograd convolution around its products: input tiles to V, and M to pixels."""

from __future__ import annotations

from collections.abc import Callable

from tvm import tirx

from hwaware.compiler.kernel import ceil_div
from hwaware.compiler.schedules.tile import ChannelBlock
from hwaware.compiler.schedules.winograd_layout import Plan
from hwaware.compiler.tir import Block, Buffer, Expr, Stmt, bind, branch, const, integer, load, loop, seq, store


def transform_inputs(plan: Plan, tile: Expr, row: Expr, v_base: Expr, patch_base: Expr) -> Stmt:
    """Input tile number `tile` to row `row` of V; one that reaches over the image is padded in the patch first."""
    layout, n = plan.layout, plan.layout.method.points
    _, height, width, channels = layout.image
    statements, image, y, x = _corner(plan, tile, layout.padding)
    source, pitch = plan.builder.inputs[0], plan.builder.workload.in_pitch
    to = v_base + row * layout.row

    def pixel(i: Expr, j: Expr) -> Expr:
        return ((image * height + y + i) * width + x + j) * pitch

    def place(i: Expr, j: Expr) -> Expr:
        return patch_base + (i * n + j) * layout.row

    def over_channels(body: Callable[[Expr, int], Stmt]) -> Stmt:
        return _overlapping("c", channels, plan.lanes, body)

    def fill(i: Expr, j: Expr) -> Stmt:
        real = tirx.all(y + i >= 0, y + i < height, x + j >= 0, x + j < width)
        return branch(
            real,
            over_channels(lambda c, w: store(plan.patch, place(i, j) + c, load(source, pixel(i, j) + c, w), w)),
            over_channels(lambda c, w: store(plan.patch, place(i, j) + c, const(0.0, w), w)),
        )

    inside = over_channels(lambda c, w: _input_vector(plan, source, lambda i, j: pixel(i, j) + c, to + c, w))
    if not layout.bordered:
        return seq([*statements, inside])
    border = seq([
        loop("i", n, lambda i: loop("j", n, lambda j: fill(i, j))),
        over_channels(lambda c, w: _input_vector(plan, plan.patch, lambda i, j: place(i, j) + c, to + c, w)),
    ])  # fmt: skip
    interior = tirx.all(y >= 0, y + n <= height, x >= 0, x + n <= width)
    return seq([*statements, branch(interior, inside, border)])


def transform_products(plan: Plan, block: ChannelBlock, index: Expr, tile: Expr, row: Expr, m_base: Expr) -> Stmt:
    """Row `row` of M to the pixels of tile number `tile`, in one block of output channels."""
    layout, m = plan.layout, plan.layout.method.outputs
    _, height, width, channels = layout.result
    statements, image, y, x = _corner(plan, tile, (0, 0))
    # Only the last rows and columns of tiles can reach over the image.
    rows_left, columns_left = height % m or m, width % m or m

    def vector(start: Expr, lanes: int) -> Stmt:
        work = Block()
        values = _pixel_vectors(plan, work, m_base + row * block.padded + start, lanes)
        channel = block.start + index * block.valid + start
        for i in range(m):
            writes = []
            for j in range(m):
                pixel = ((image * height + y + i) * width + x + j) * channels
                write = plan.builder.write(values[i][j], lanes, pixel + channel, channel)
                writes.append(write if j < columns_left else branch(x + j < width, write))
            written = seq(writes)
            work.statements.append(written if i < rows_left else branch(y + i < height, written))
        return seq(work.statements)

    return seq([*statements, _overlapping("k", block.valid, plan.lanes, vector)])


def _corner(plan: Plan, tile: Expr, padding: tuple[int, ...]) -> tuple[list[Stmt], Expr, Expr, Expr]:
    """Image, row and column of a tile's first pixel, and the statements that bind them."""
    _, rows, columns = plan.layout.grid
    m = plan.layout.method.outputs
    line, line_bound = bind("line", tirx.truncdiv(tile, integer(columns)))
    image, image_bound = bind("image", tirx.truncdiv(line, integer(rows)))
    y, y_bound = bind("y", (line - image * rows) * m - padding[0])
    x, x_bound = bind("x", (tile - line * columns) * m - padding[1])
    return [line_bound, image_bound, y_bound, x_bound], image, y, x


def _input_vector(plan: Plan, source: Buffer, at: Callable[[int, int], Expr], to: Expr, lanes: int) -> Stmt:
    """Bᵀ d B of one vector of channels: along columns, then along rows."""
    method = plan.layout.method
    n = range(method.points)
    block = Block()
    half = []
    for j in n:
        column = [block.keep(load(source, at(i, j), lanes), lanes) for i in n]
        half.append(method.inputs(block, column, lanes))
    for i in n:
        for j, value in enumerate(method.inputs(block, [column[i] for column in half], lanes)):
            plane = (i * method.points + j) * plan.layout.v_plane
            block.statements.append(store(plan.v, to + plane, value, lanes))
    return seq(block.statements)


def _pixel_vectors(plan: Plan, block: Block, at: Expr, lanes: int) -> list[list[Expr]]:
    """Aᵀ M A of one vector of channels: m × m values."""
    method = plan.layout.method
    n = range(method.points)
    half = []
    for j in n:
        places = [at + (i * method.points + j) * plan.layout.m_plane for i in n]
        column = [block.keep(load(plan.m, place, lanes), lanes) for place in places]
        half.append(method.results(block, column, lanes))
    return [method.results(block, [column[i] for column in half], lanes) for i in range(method.outputs)]


def _overlapping(name: str, count: int, lanes: int, body: Callable[[Expr, int], Stmt]) -> Stmt:
    """`body(offset, width)` on vectors of one width that cover `count` elements; the last may repeat some."""
    width = lanes
    while width > count:
        width //= 2
    last = integer(count - width)
    return loop(name, ceil_div(count, width), lambda i: body(tirx.min(i * width, last), width))
