"""Sparse convolutions, vectorised over output positions: weights stream by, each is multiplied with a tile's inputs.

A tile's window is turned over first, so that neighbouring positions of a channel lie next to each other; sums of a few
output channels are turned back before they are written. Elsen et al. 2020 (arXiv:1911.09723, section 3) have channels
outermost in all of a model instead; here layers with few zeros stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from tvm import tirx

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.sparse.entries import Entries, entries
from hwaware.compiler.schedules.sparse.turned import turned
from hwaware.compiler.schedules.sparse.window import Filling, TileWindow
from hwaware.compiler.schedules.window import Run, runs
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
    seq,
    splat,
    store,
    with_local,
)

# Registers that hold no sums.
_OTHERS = 4
# Floats of a tile's window: more do not stay in a second-level cache beside the weights.
_MOST_WINDOW = 1 << 15
# Entries that are multiplied in one step of the loop.
_AT_ONCE = 2


def space_choices(shape: ConvShape, target: Target) -> list[Choice]:
    """Tiles of as many sums as there are registers for, and of fewer."""
    most = target.registers - _OTHERS
    across = ceil_div(shape.columns.out, target.lanes)
    found = []
    for sums in (most, most // 2, most // 3):
        vectors = max(1, min(across, sums))
        found.append(Choice.of("sparse", rows=max(1, min(shape.rows.out, sums // vectors)), vectors=vectors))
    return list(dict.fromkeys(found))


def window_of(shape: ConvShape, target: Target, choice: Choice) -> TileWindow:
    """The tile that `choice` comes to at these extents: of no more inputs than a cache has room for."""
    lanes = target.lanes
    vectors = max(1, min(choice.get("vectors", 1), ceil_div(shape.columns.out, lanes)))
    rows = max(1, min(choice.get("rows", 1), shape.rows.out))
    while True:
        window = TileWindow(shape, rows, vectors * lanes, lanes)
        if window.size <= _MOST_WINDOW or rows == vectors == 1:
            return window
        rows, vectors = (rows - 1, vectors) if rows > 1 else (1, vectors - 1)


def sparse_space(builder: KernelBuilder, shape: ConvShape) -> Kernel:
    """Tiles of `rows` rows of `vectors` vectors of positions; `shape` has one group."""
    window = window_of(shape, builder.target, builder.choice)
    kept = entries(builder, shape.kg, window.places(), window.size)
    builder.declare_steps()
    spans = tuple(runs(shape.columns, window.width))
    bands = shape.batch * ceil_div(shape.rows.out, window.height)
    tasks = bands if bands > 1 else sum(span.count for span in spans)
    # A row of sums for each lane's output channel lies behind the inputs.
    size = window.size + window.lanes * window.height * window.width
    room = builder.scratch("room", size, tasks)
    plan = SpacePlan(builder, window, kept, room, size)

    def band(number: Expr) -> Stmt:
        return seq([
            loop("wo", span.count, lambda i, span=span: plan.tile(number, number, span, i * span.width + span.start))
            for span in spans
        ])  # fmt: skip

    def lone(number: Expr) -> Stmt:
        statement: Stmt | None = None
        before = tasks
        for span in reversed(spans):
            before -= span.count
            column = (number - before) * span.width + span.start if span.count > 1 else integer(span.start)
            tile = plan.tile(number, integer(0), span, column)
            statement = tile if statement is None else branch(number < integer(before + span.count), tile, statement)
        return statement

    return builder.finish(loop("strip", tasks, band if bands > 1 else lone, "parallel"))


@dataclass(frozen=True)
class SpacePlan:
    """A convolution's window, its entries, and `size` floats of `room` for each task."""

    builder: KernelBuilder
    window: TileWindow
    kept: Entries
    room: Buffer
    size: int

    def tile(self, task: Expr, band: Expr, span: Run, column: Expr) -> Stmt:
        """The tile at `column` of band number `band` of all images."""
        shape, window = self.window.shape, self.window
        bands = ceil_div(shape.rows.out, window.height)
        image = tirx.floordiv(band, integer(bands)) if shape.batch > 1 else integer(0)
        row = (band - image * bands) * window.height
        base, bound = bind("base", task * self.size)
        filling = Filling(self.builder, window, self.room, base, image, row, span, column)
        blocks, rest = divmod(shape.kg, window.lanes)
        place = _Place(image, row, span, column)
        return seq([
            bound,
            filling.body(),
            loop("ko", blocks, lambda i: self._block(base, place, i * window.lanes)),
            loop("k", rest, lambda i: self._single(base, place, i + blocks * window.lanes)),
        ])  # fmt: skip

    def _block(self, base: Expr, place: _Place, first: Expr) -> Stmt:
        """As many output channels as there are lanes, written a vector of channels at a time."""
        window, lanes = self.window, self.window.lanes
        line = window.height * window.width
        sums = base + window.size
        statements = [loop("m", lanes, lambda m: self._channel(base, first + m, sums + m * line))]
        for y in range(window.height):
            written = []
            for start in range(0, min(place.span.width, window.width), lanes):
                rows, bound = [], []
                for m in range(lanes):
                    row, binding = bind(f"s{m}", load(self.room, sums + m * line + y * window.width + start, lanes))
                    rows.append(row)
                    bound.append(binding)
                columns, turning = turned("s", rows)
                written += [*bound, *turning]
                for i in range(min(lanes, place.span.width - start)):
                    at = self._pixel(place, y, start + i) * window.shape.kg + first
                    written.append(self.builder.write(columns[i], lanes, at, first))
            statements.append(self._if_inside(place, y, seq(written)))
        return seq(statements)

    def _single(self, base: Expr, place: _Place, k: Expr) -> Stmt:
        """One output channel of those that fill no vector."""
        window = self.window
        sums = base + window.size
        statements = [self._channel(base, k, sums)]
        for y in range(window.height):
            written = []
            for i in range(place.span.width):
                value = load(self.room, sums + y * window.width + i)
                written.append(self.builder.write(value, 1, self._pixel(place, y, i) * window.shape.kg + k, k))
            statements.append(self._if_inside(place, y, seq(written)))
        return seq(statements)

    def _channel(self, base: Expr, k: Expr, target: Expr) -> Stmt:
        """The sums of output channel `k` at all positions of the tile, to `target`."""
        window, lanes = self.window, self.window.lanes
        first, count, statements = self.kept.of(k)
        places = [(y, u) for y in range(window.height) for u in range(window.width // lanes)]
        sums = {at: local(f"acc{at[0]}_{at[1]}", lanes) for at in places}
        statements += [store(total, integer(0), const(0.0, lanes), lanes) for total in sums.values()]

        def add(entry: Expr, number: int = 1) -> Stmt:
            added = []
            for index in range(number):
                weight, weighed = bind(f"w{index}", load(self.kept.values, first + entry + index))
                where, placed = bind(f"p{index}", self.kept.place(first + entry + index) + base)
                added += [weighed, placed]
                for (y, u), total in sums.items():
                    value = load(self.room, where + window.at(y, u), lanes)
                    added.append(
                        store(total, integer(0), load(total, integer(0), lanes) + splat(weight, lanes) * value, lanes)
                    )
            return seq(added)

        done, several = self.kept.by(_AT_ONCE, count, lambda entry: add(entry, _AT_ONCE))
        _, rest = self.kept.by(1, count - done, lambda entry: add(done + entry))
        statements += [*several, *rest]
        statements += [
            store(self.room, target + (y * window.width + u * lanes), load(total, integer(0), lanes), lanes)
            for (y, u), total in sums.items()
        ]
        return with_local(list(sums.values()), seq(statements))

    def _pixel(self, place: _Place, y: int, x: int) -> Expr:
        out_h, out_w = self.window.shape.out_size
        return (place.image * out_h + place.row + y) * out_w + place.column + x

    def _if_inside(self, place: _Place, y: int, body: Stmt) -> Stmt:
        """The last tile may have rows beyond the output."""
        rows = self.window.shape.rows.out
        return body if rows % self.window.height == 0 else branch(place.row + y < integer(rows), body)


@dataclass(frozen=True)
class _Place:
    image: Expr
    row: Expr
    span: Run
    column: Expr
