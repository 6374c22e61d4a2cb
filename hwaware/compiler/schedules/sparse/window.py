"""The input of a tile with positions as the vector dimension: ``[channel][line][phase][column]``, zeros for padding."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from tvm import tirx

from hwaware.compiler.kernel import KernelBuilder, ceil_div
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.sparse.turned import turned
from hwaware.compiler.schedules.window import Run
from hwaware.compiler.tir import Buffer, Expr, Stmt, bind, branch, const, integer, load, loop, seq, store


@dataclass(frozen=True)
class TileWindow:
    """What `height` rows of `width` output positions read, `width` a multiple of `lanes`.

    Columns of one `phase`, their place modulo the stride, are neighbours: so are then the inputs that a tap has at
    neighbouring positions.
    """

    shape: ConvShape
    height: int
    width: int
    lanes: int

    @property
    def lines(self) -> int:
        """Lines of the image."""
        axis = self.shape.rows
        return (self.height - 1) * axis.stride + (axis.taps - 1) * axis.dilation + 1

    @cached_property
    def phases(self) -> list[int]:
        """Those that there are taps for."""
        axis = self.shape.columns
        return sorted({tap * axis.dilation % axis.stride for tap in range(axis.taps)})

    @property
    def reach(self) -> int:
        """Columns of a phase that a position's window has beyond the first."""
        axis = self.shape.columns
        return (axis.taps - 1) * axis.dilation // axis.stride

    @property
    def pitch(self) -> int:
        """Elements from one phase of a line to the next."""
        return ceil_div(self.width + self.reach, self.lanes) * self.lanes

    @property
    def line(self) -> int:
        """Elements from one line of a channel to the next."""
        return len(self.phases) * self.pitch

    @property
    def size(self) -> int:
        """Elements of all channels."""
        return self.shape.cg * self.lines * self.line

    def places(self) -> np.ndarray:
        """Where the input of each weight is for the first position, in the order (input channel, height, width)."""
        rows, columns = self.shape.rows, self.shape.columns
        found = [
            c * self.lines * self.line
            + r * rows.dilation * self.line
            + self.phases.index(s * columns.dilation % columns.stride) * self.pitch
            + s * columns.dilation // columns.stride
            for c in range(self.shape.cg)
            for r in range(rows.taps)
            for s in range(columns.taps)
        ]
        return np.array(found, np.int64)

    def at(self, y: int, u: int) -> int:
        """What is added to a place for row `y` and vector `u` of the tile."""
        return y * self.shape.rows.stride * self.line + u * self.lanes


@dataclass(frozen=True)
class Filling:
    """Reads the window of the tile whose first output is (`row`, `column`) of `image` into `room`, from `base` on."""

    builder: KernelBuilder
    window: TileWindow
    room: Buffer
    base: Expr
    image: Expr
    row: Expr
    span: Run
    column: Expr

    def body(self) -> Stmt:
        """All lines; those above and below the image are 0."""
        axis = self.window.shape.rows

        def line(number: Expr) -> Stmt:
            source = self.row * axis.stride - axis.pad + number
            place = (self.image * axis.size + source) * self.window.shape.columns.size
            read = self._line(number, place)
            # The last rows of a tile may be beyond the output, so that even a window without padding ends outside.
            inside = tirx.all(source >= integer(0), source < integer(axis.size))
            return branch(inside, read, self._line(number, None))

        return loop("line", self.window.lines, line)

    def _line(self, number: Expr, place: Expr | None) -> Stmt:
        """One line of the image, whose first pixel is `place`; zeros for None."""
        window, lanes = self.window, self.window.lanes
        statements = []
        for index, phase in enumerate(window.phases):
            for start in range(0, window.pitch, lanes):
                pixels = [None if place is None else self._pixel(place, start + i, phase) for i in range(lanes)]
                target = self.base + number * window.line + (index * window.pitch + start)
                statements.append(self._square(pixels, target))
        return seq(statements)

    def _pixel(self, place: Expr, index: int, phase: int) -> Expr | None:
        """The pixel of column `index` of a phase; None where it is padding, anything where nobody looks."""
        axis = self.window.shape.columns
        if self.span.count > 1:  # all that is looked at is inside
            column = (self.column + index) * axis.stride + (phase - axis.pad)
            return place + (column if index < self.window.width else tirx.min(column, integer(axis.size - 1)))
        at = (self.span.start + index) * axis.stride + phase - axis.pad
        return place + at if 0 <= at < axis.size else None

    def _square(self, pixels: list[Expr | None], target: Expr) -> Stmt:
        """All channels of some neighbouring pixels."""
        channels, lanes = self.window.shape.cg, self.window.lanes
        step = self.window.lines * self.window.line
        source, pitch = self.builder.inputs[0], self.builder.workload.in_pitch

        def block(c: Expr) -> Stmt:
            rows, statements = [], []
            for i, pixel in enumerate(pixels):
                value = const(0.0, lanes) if pixel is None else load(source, pixel * pitch + c, lanes)
                row, bound = bind(f"x{i}", value)
                rows.append(row)
                statements.append(bound)
            columns, turning = turned("x", rows)
            statements += turning
            return seq([
                *statements,
                *(store(self.room, target + (c + m) * step, columns[m], lanes) for m in range(lanes)),
            ])  # fmt: skip

        def single(c: Expr) -> Stmt:
            values = [const(0.0) if pixel is None else load(source, pixel * pitch + c) for pixel in pixels]
            return seq([store(self.room, target + c * step + i, value) for i, value in enumerate(values)])

        whole = channels // lanes
        rest = channels - whole * lanes
        return seq([
            loop("c", whole, lambda i: block(i * lanes)),
            loop("c", rest, lambda i: single(i + whole * lanes)),
        ])  # fmt: skip
