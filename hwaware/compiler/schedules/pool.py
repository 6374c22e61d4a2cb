"""Pooling: windows over an image, channels as vectors."""

from __future__ import annotations

from collections.abc import Callable

from tvm import tirx

from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.window import Axis
from hwaware.compiler.tir import (  # fmt: skip
    Expr,
    Stmt,
    bind,
    cast,
    const,
    integer,
    load,
    local,
    loop,
    over_vectors,
    seq,
    splat,
    store,
    with_local,
)


def pool2d(builder: KernelBuilder) -> Kernel:
    """Schedule of ``pool2d``: maximum, average with or without the padding, adaptive average."""
    builder.declare_steps()
    work = builder.workload
    n, h, w, c = work.inputs[0].shape
    _, out_h, out_w, _ = work.output.shape
    mode = str(work.attr("mode"))

    def pixel(number: Expr, x: Expr) -> Stmt:
        image, y = tirx.floordiv(number, integer(out_h)), tirx.floormod(number, integer(out_h))
        rows, columns = (_range(builder, axis, at, mode) for axis, at in ((0, y), (1, x)))
        bounds = []
        names = []
        for label, values in (("row", rows), ("column", columns)):
            for part, value in zip(("low", "high"), values[:2], strict=True):
                name, bound = bind(f"{label}_{part}", value)
                bounds.append(bound)
                names.append(name)
        r0, r1, s0, s1 = names
        count = _count(builder, (r0, r1, s0, s1), (y, x), mode)

        def vector(offset: Expr, lanes: int) -> Stmt:
            dtype = work.inputs[0].dtype
            total = local("total", lanes, dtype)
            # Levels begin at 0.
            lowest = -3.4028234663852886e38 if mode == "max" and dtype == "float32" else 0
            start = const(lowest, lanes, dtype)

            def tap(r: Expr, s: Expr) -> Stmt:
                line = rows[2](r)
                at = columns[2](s)
                value = load(builder.inputs[0], ((image * h + line) * w + at) * work.in_pitch + offset, lanes)
                now = load(total, integer(0), lanes)
                return store(total, integer(0), tirx.max(now, value) if mode == "max" else now + value, lanes)

            body = loop("r", r1 - r0, lambda r: loop("s", s1 - s0, lambda s: tap(r, s), start=s0), start=r0)
            value = load(total, integer(0), lanes)
            if count is not None:
                value = value * splat(const(1.0) / cast("float32", count), lanes)
            full = (number * out_w + x) * c + offset
            write = builder.write(value, lanes, full, offset)
            return with_local([total], seq([store(total, integer(0), start, lanes), body, write]))

        return seq([*bounds, over_vectors("i", c, builder.target.lanes, vector)])

    body = loop("row", n * out_h, lambda number: loop("x", out_w, lambda x: pixel(number, x)), "parallel")
    return builder.finish(body)


def _axis(builder: KernelBuilder, index: int) -> Axis:
    work = builder.workload
    size, out = work.inputs[0].shape[1 + index], work.output.shape[1 + index]
    kernel, stride, pad, dilation = (work.ints(name)[index] for name in ("kernel", "stride", "padding", "dilation"))
    return Axis(size, out, kernel, stride, pad, dilation)


def _range(builder: KernelBuilder, index: int, at: Expr, mode: str) -> tuple[Expr, Expr, Callable[[Expr], Expr]]:
    """First and one-past-last tap of output position `at`, and the input position of a tap."""
    if mode == "adaptive_avg":
        size, out = builder.workload.inputs[0].shape[1 + index], builder.workload.output.shape[1 + index]
        low = tirx.floordiv(at * size, integer(out))
        high = tirx.floordiv((at + 1) * size + (out - 1), integer(out))
        return low, high, lambda tap: tap
    axis = _axis(builder, index)
    low, high = axis.tap_range(at)
    return low, high, lambda tap: at * axis.stride - axis.pad + tap * axis.dilation


def _count(builder: KernelBuilder, names: tuple[Expr, ...], position: tuple[Expr, Expr], mode: str) -> Expr | None:
    """Elements an average divides by."""
    r0, r1, s0, s1 = names
    if mode == "max":
        return None
    if mode == "adaptive_avg" or not builder.workload.attr("count_include_pad"):
        return (r1 - r0) * (s1 - s0)
    extents = []
    for index, at in enumerate(position):
        axis = _axis(builder, index)
        # The window counts up to the padded edge: with ceil_mode it may reach past it.
        first = at * axis.stride - axis.pad
        extents.append(tirx.min(first + axis.taps, integer(axis.size + axis.pad)) - first)
    return extents[0] * extents[1]
