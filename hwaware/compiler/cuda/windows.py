"""Pooling and resampling: an output element reads a small window of its own channel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from tvm import tirx

from hwaware.compiler.cuda.blocks import LOWEST, add
from hwaware.compiler.cuda.builder import BlockBuilder, Written
from hwaware.compiler.kernel import Pack, ceil_div
from hwaware.compiler.tir import Expr, cast, const, integer
from hwaware.graph.workload import Workload


@dataclass(frozen=True)
class _Axis:
    """One direction of a pool: at most `taps` inputs an output, the first of them, how many an average divides by."""

    taps: int
    position: Callable[[Expr, Expr], Expr]  # of an output and a tap: the input
    end: Callable[[Expr], Expr]  # of an output: one past its last input
    count: Callable[[Expr], Expr]

    def valid(self, at: Expr, tap: Expr) -> list[Expr]:
        """When a tap is one of the window's, and inside the image."""
        position = self.position(at, tap)
        return [position >= integer(0), position < self.end(at)]


def _fixed(work: Workload, index: int) -> _Axis:
    size = work.inputs[0].shape[1 + index]
    taps, stride, pad, dilation = (work.ints(name)[index] for name in ("kernel", "stride", "padding", "dilation"))
    padded = bool(work.attr("count_include_pad"))

    def count(at: Expr) -> Expr:
        # With ceil_mode a window may reach past the padded edge.
        first = at * stride - pad
        if padded:
            return tirx.min(first + taps, integer(size + pad)) - first
        return tirx.min(first + taps, integer(size)) - tirx.max(first, integer(0))

    def position(at: Expr, tap: Expr) -> Expr:
        return at * stride - pad + tap * dilation

    return _Axis(taps, position, lambda _: integer(size), count)


def _adaptive(work: Workload, index: int) -> _Axis:
    size, out = work.inputs[0].shape[1 + index], work.output.shape[1 + index]
    longest = max(ceil_div((at + 1) * size, out) - at * size // out for at in range(out))

    def first(at: Expr) -> Expr:
        return tirx.floordiv(at * size, integer(out))

    def end(at: Expr) -> Expr:
        return tirx.floordiv((at + 1) * size + (out - 1), integer(out))

    return _Axis(longest, lambda at, tap: first(at) + tap, end, lambda at: end(at) - first(at))


def pool2d(builder: BlockBuilder) -> Written:
    """``pool2d``: maximum, average with or without the padding, adaptive average."""
    builder.declare_steps()
    work = builder.workload
    mode = str(work.attr("mode"))
    rows, columns = ((_adaptive if mode == "adaptive_avg" else _fixed)(work, index) for index in (0, 1))
    source = builder.inputs[0]
    outside = const(LOWEST if mode == "max" else 0.0)

    def term(kept: Sequence[Expr], reduced: Sequence[Expr]) -> Expr:
        n, h, w, c = kept
        r, s = reduced
        inside = tirx.all(*rows.valid(h, r), *columns.valid(w, s))
        return tirx.if_then_else(inside, source.load(n, rows.position(h, r), columns.position(w, s), c), outside)

    shape = work.output.shape
    total = builder.blocks.reduce(
        "total",
        shape,
        (rows.taps, columns.taps),
        term,
        start=LOWEST if mode == "max" else 0.0,
        combine=tirx.max if mode == "max" else add,
    )

    def result(indices: Sequence[Expr]) -> Expr:
        value = total.load(*indices)
        if mode == "max":
            return value
        return value / cast("float32", rows.count(indices[1]) * columns.count(indices[2]))

    return builder.finish(shape, result)


def resample(builder: BlockBuilder) -> Written:
    """``resample``: two rows and two columns of the source, weighted; one of each for nearest."""
    work = builder.workload
    _, height, width, _ = work.output.shape
    tables = {
        f"{axis}_{part}": builder.constant(f"{axis}_{part}", (size,), _table(f"{axis}_{part}", dtype), dtype)
        for axis, size in (("h", height), ("w", width))
        for part, dtype in (("low", "int32"), ("high", "int32"), ("fraction", "float32"))
    }
    builder.declare_steps()
    source = builder.inputs[0]
    bilinear = work.attr("mode") == "bilinear"

    def element(indices: Sequence[Expr]) -> Expr:
        n, h, w, c = indices

        def pixel(row: str, column: str) -> Expr:
            return source.load(n, tables[f"h_{row}"].load(h), tables[f"w_{column}"].load(w), c)

        if not bilinear:
            return pixel("low", "low")
        across, down = tables["w_fraction"].load(w), tables["h_fraction"].load(h)
        top = pixel("low", "low") * (const(1.0) - across) + pixel("low", "high") * across
        bottom = pixel("high", "low") * (const(1.0) - across) + pixel("high", "high") * across
        return top * (const(1.0) - down) + bottom * down

    return builder.finish(work.output.shape, element)


def _table(name: str, dtype: str) -> Pack:
    return lambda constants: constants[name].astype(np.dtype(dtype))
