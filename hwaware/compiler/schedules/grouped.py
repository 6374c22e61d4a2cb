"""Grouped convolution with few channels a group: one vector holds the output channels of several groups.

A group of 4 channels would fill a quarter of a 16-lane vector. Here neighbouring groups share one: their inputs, which
lie next to each other, are loaded as one vector, and for each input channel of a group a shuffle gives every lane the
input of its own group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.conv_shape import ConvShape, conv_shape
from hwaware.compiler.schedules.parts import even_parts, over_parts
from hwaware.compiler.schedules.window import Run, over_taps, runs
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


def grouped_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Tiles that leave registers for the weights of one tap; [] where groups do not divide a vector.

    Groups of half a vector are left to direct convolution: without shuffles it was as fast.
    """
    groups, inside, outside = _sizes(workload)
    fits = 2 <= outside <= target.lanes // 4 and target.lanes % outside == 0 and inside <= outside
    if groups == 1 or not fits or inside & (inside - 1):
        return []
    most = max(2, target.registers - inside - 3)
    columns = workload.output.shape[2]
    widths = dict.fromkeys(ceil_div(columns, ceil_div(columns, limit)) for limit in (most // 2, most))
    return [Choice.of("grouped", positions=positions) for positions in widths]


def _sizes(workload: Workload) -> tuple[int, int, int]:
    """Groups, and input and output channels of one."""
    groups = workload.attr("groups")
    assert isinstance(groups, int)
    return groups, workload.inputs[0].shape[-1] // groups, workload.output.shape[-1] // groups


def grouped(builder: KernelBuilder) -> Kernel:
    """Schedule ``grouped`` of ``conv2d``; its parameter is the `positions` of a tile of one vector."""
    shape = conv_shape(builder.workload)
    positions = max(1, min(builder.choice.get("positions", 4), shape.columns.out))
    channels = shape.groups * shape.kg
    # Vectors hold whole groups: the widths are powers of two down to that of one.
    parts = pieces(channels, builder.target.lanes)

    def pack(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        weight = constants["weight"].transpose(2, 3, 1, 0)  # (R, S, C/groups, K)
        return np.concatenate([weight[..., at : at + width].reshape(-1) for at, width in parts]).astype(np.float32)

    weight = builder.constant("weight", shape.steps * channels, pack)
    builder.declare_steps()
    plan = GroupedPlan(builder, shape, weight, tuple(runs(shape.columns, positions)))
    return builder.finish(plan.body(parts))


@dataclass(frozen=True)
class GroupedPlan:
    """A grouped convolution, its weights packed ``[vector][r][s][c][lane]``, its tiles along a row."""

    builder: KernelBuilder
    shape: ConvShape
    weight: Buffer
    spans: tuple[Run, ...]

    def body(self, parts: list[tuple[int, int]]) -> Stmt:
        """Rows and vectors of output channels, shared among the threads."""
        rows = self.shape.batch * self.shape.rows.out
        lanes = self.builder.target.lanes
        full = [part for part in parts if part[1] == lanes]
        rest = [part for part in parts if part[1] != lanes]

        def at(row: Expr, vector: Expr) -> Stmt:
            whole = self._row(row, vector * lanes, lanes) if full else None
            tail = seq([self._row(row, integer(start), width) for start, width in rest]) if rest else None
            if whole is None or tail is None:
                return seq([whole, tail])
            return branch(vector < integer(len(full)), whole, tail)

        units = len(full) + bool(rest)
        return over_parts(rows, units, even_parts(rows, units), at)

    def _row(self, number: Expr, channel: Expr, width: int) -> Stmt:
        rows = self.shape.rows.out
        image = tirx.floordiv(number, integer(rows)) if self.shape.batch > 1 else integer(0)
        row = number - image * rows if self.shape.batch > 1 else number
        return seq([
            loop(
                "wo", span.count,
                lambda i, span=span: self._tile(image, row, channel, width, span, i * span.width + span.start),
            )
            for span in self.spans
        ])  # fmt: skip

    def _tile(self, image: Expr, row: Expr, channel: Expr, width: int, span: Run, column: Expr) -> Stmt:
        """`span.width` positions of `width` output channels from `channel` on."""
        shape, builder = self.shape, self.builder
        sums = [local(f"acc{p}", width) for p in range(span.width)]
        zero = [store(total, integer(0), const(0.0, width), width) for total in sums]
        # Weights of earlier vectors, then tap by tap.
        base = channel * shape.steps
        line_of = row * shape.rows.stride - shape.rows.pad

        def taps(r: Expr) -> Stmt:
            line = image * shape.rows.size + line_of + r * shape.rows.dilation
            return seq([self._tap(line, base, r, s, channel, width, span, column, sums) for s in self._inside(span)])

        writes = []
        line_out = (image * shape.out_size[0] + row) * shape.out_size[1]
        for p, total in enumerate(sums):
            full = (line_out + column + p) * (shape.groups * shape.kg) + channel
            writes.append(builder.write(load(total, integer(0), width), width, full, channel))
        return with_local(sums, seq([*zero, over_taps(shape.rows, row, taps), *writes]))

    def _inside(self, span: Run) -> list[int]:
        return [s for s in range(self.shape.columns.taps) if self._positions(span, s)]

    def _positions(self, span: Run, s: int) -> list[int]:
        axis = self.shape.columns
        return [p for p in range(span.width) if span.count > 1 or axis.inside(span.start + p, s)]

    def _tap(
        self,
        line: Expr,
        base: Expr,
        r: Expr,
        s: int,
        channel: Expr,
        width: int,
        span: Run,
        column: Expr,
        sums: list[Buffer],
    ) -> Stmt:
        """The multiply-adds of tap (r, s): every input vector is shuffled once for each input channel of a group."""
        shape, builder, axis = self.shape, self.builder, self.shape.columns
        statements: list[Stmt] = []
        vectors = []
        for c in range(shape.cg):
            at = base + ((r * axis.taps + s) * shape.cg + c) * width
            name, bound = bind(f"w{s}_{c}", load(self.weight, at, width))
            vectors.append(name)
            statements.append(bound)
        # channel is a multiple of the channels of a group.
        inputs = width // shape.kg * shape.cg
        first = tirx.floordiv(channel, integer(shape.kg)) * shape.cg
        for p in self._positions(span, s):
            pixel = line * axis.size + (column + p) * axis.stride + (s * axis.dilation - axis.pad)
            source = load(builder.inputs[0], pixel * builder.workload.in_pitch + first, inputs)
            value, bound = bind(f"x{s}_{p}", source)
            statements.append(bound)
            for c, vector in enumerate(vectors):
                lanes = [lane // shape.kg * shape.cg + c for lane in range(width)]
                indices = [integer(lane) for lane in lanes]
                # TVM wants at least as many lanes to choose from as it shall give.
                spread = tirx.Shuffle([value] * (width // inputs), indices) if inputs > 1 else splat(value, width)
                total = load(sums[p], integer(0), width) + spread * vector
                statements.append(store(sums[p], integer(0), total, width))
        return seq(statements)
