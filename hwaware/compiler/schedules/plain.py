"""Everything that is bound by memory: parallel outer loops, vectors over the innermost dimension."""

from __future__ import annotations

import math

import numpy as np
from tvm import tirx

from hwaware.compiler.epilogue import scalar_operand
from hwaware.compiler.kernel import Kernel, KernelBuilder, Pack, strides_of
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
    loop,
    over_vectors,
    seq,
    splat,
    store,
)
from hwaware.graph.workload import FULL, IN_PITCH, OUT_PITCH, Step

# Elements of a row that one parallel step handles when a tensor has no outer dimension to split.
CHUNK = 1024


def coordinates(flat: Expr, shape: tuple[int, ...]) -> list[Expr]:
    """Coordinates of a flat index over `shape`."""
    result = []
    for stride, size in zip(strides_of(shape), shape, strict=True):
        part = tirx.floordiv(flat, integer(stride)) if stride > 1 else flat
        result.append(tirx.floormod(part, integer(size)))
    if result:
        result[0] = tirx.floordiv(flat, integer(strides_of(shape)[0]))
    return result


def dot(indices: list[Expr], strides: tuple[int, ...]) -> Expr:
    """Σ index·stride."""
    total: Expr = integer(0)
    for index, stride in zip(indices, strides, strict=True):
        total = total + index * stride
    return total


def strided_load(buffer: Buffer, base: Expr, offset: Expr, stride: int, lanes: int) -> Expr:
    """`lanes` elements `stride` apart from base + offset·stride."""
    if stride == 0:
        return scalar_operand(buffer, base, lanes)
    if stride == 1 or lanes == 1:
        return load(buffer, base + offset * stride, lanes)
    return tirx.BufferLoad(buffer, [tirx.Ramp(base + offset * stride, stride, lanes)])


def _split(shape: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    return shape[:-1], shape[-1]


def map_(builder: KernelBuilder) -> Kernel:
    """Schedule of ``map``: elementwise steps over one input with strides of its own."""
    builder.declare_steps()
    work = builder.workload
    strides = work.ints("strides")
    if IN_PITCH in dict(work.attrs):
        # The strides are those of dense channels.
        strides = (*(stride // work.in_width * work.in_pitch for stride in strides[:-1]), strides[-1])
    offset = work.attr("offset")
    assert isinstance(offset, int)
    pitched = OUT_PITCH in dict(work.attrs)
    shape, strides, steps = _merge(work.output.shape, strides, work.epilogue, pitched=pitched)
    outer, inner = _split(shape)

    def row(number: Expr, low: int, count: int) -> Stmt:
        place = coordinates(number, outer)
        base = dot(place, strides[:-1]) + offset

        def vector(position: Expr, lanes: int) -> Stmt:
            at = position + low
            full = number * inner + at

            def strided(buffer: Buffer, step: Step, width: int) -> Expr:
                spread = steps[step]
                start = dot(place, spread[:-1]) + int(step.params[0])
                return strided_load(buffer, start, at, spread[-1], width)

            value = strided_load(builder.inputs[0], base, at, strides[-1], lanes)
            return builder.write(value, lanes, full, at, strided)

        return over_vectors("i", count, builder.target.lanes, vector)

    return builder.finish(_rows(math.prod(outer), inner, row))


def _rows(rows: int, inner: int, row: object) -> Stmt:
    """Parallel over rows; a single long row is cut into chunks."""
    assert callable(row)
    if rows > 1 or inner <= CHUNK:
        return loop("row", rows, lambda number: row(number, 0, inner), "parallel")
    full, rest = divmod(inner, CHUNK)
    body = loop("chunk", full, lambda part: row(integer(0), part * CHUNK, CHUNK), "parallel")
    return seq([body, row(integer(0), full * CHUNK, rest)] if rest else [body])


def _merge(
    shape: tuple[int, ...], strides: tuple[int, ...], steps: tuple[Step, ...], *, pitched: bool
) -> tuple[tuple[int, ...], tuple[int, ...], dict[Step, tuple[int, ...]]]:
    """Join neighbouring dimensions that every operand walks through evenly; the innermost stays where a step
    reads one value a channel or the output has a pitch."""
    spread = {step: step.operand for step in steps if isinstance(step.operand, tuple)}
    if not shape:
        return (1,), (0,), dict.fromkeys(spread, (0,))
    walks = [strides, *spread.values()]
    by_channel = (step.operand not in (FULL, "none") and not isinstance(step.operand, tuple) for step in steps)
    keep_last = pitched or any(by_channel)
    groups = [[d] for d in range(len(shape)) if shape[d] > 1 or (keep_last and d == len(shape) - 1)] or [[0]]
    merged: list[list[int]] = []
    for group in groups:
        d = group[0]
        if merged and not (keep_last and d == len(shape) - 1):
            before = merged[-1][-1]
            if all(walk[before] == walk[d] * shape[d] for walk in walks):
                merged[-1].append(d)
                continue
        merged.append([d])
    sizes = tuple(math.prod(shape[d] for d in group) for group in merged)

    def pick(walk: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(walk[group[-1]] for group in merged)

    return sizes, pick(strides), {step: pick(walk) for step, walk in spread.items()}


def copy(builder: KernelBuilder) -> Kernel:
    """Schedule of ``copy``: strided moves, after filling where the moves do not cover the output."""
    work = builder.workload
    parts = work.attr("parts")
    assert isinstance(parts, tuple)
    attrs = dict(work.attrs)
    statements = []
    if "fill" in attrs:
        size = math.prod(work.output.shape)
        value = float(attrs["fill"])  # type: ignore[arg-type]

        def fill(_row: Expr, low: Expr, count: int) -> Stmt:
            return over_vectors(
                "i", count, builder.target.lanes,
                lambda at, lanes: store(
                    builder.output, at + low, const(value, lanes, work.output.dtype), lanes
                ),
            )  # fmt: skip

        statements.append(_rows(1, size, fill))
    for source, part in zip(builder.inputs, parts, strict=True):
        statements.append(_move(builder, source, part))  # type: ignore[arg-type]
    return builder.finish(seq(statements))


def _move(builder: KernelBuilder, source: Buffer, part: tuple[tuple[int, ...], ...]) -> Stmt:
    shape, ins, in_offset, outs, out_offset = part
    outer, inner = _split(shape)

    def row(number: Expr, low: Expr | int, count: int) -> Stmt:
        place = coordinates(number, outer)
        read = dot(place, ins[:-1]) + in_offset + low * ins[-1]
        write = dot(place, outs[:-1]) + out_offset + low * outs[-1]
        if ins[-1] != 1 or outs[-1] != 1:
            return loop("i", count, lambda i: store(
                builder.output, write + i * outs[-1], load(source, read + i * ins[-1])))  # fmt: skip
        return over_vectors(
            "i", count, builder.target.lanes,
            lambda at, lanes: store(builder.output, write + at, load(source, read + at, lanes), lanes),
        )  # fmt: skip

    return _rows(math.prod(outer), inner, row)


def reduce(builder: KernelBuilder) -> Kernel:
    """Schedule of ``reduce`` over the middle of (outer, middle, inner)."""
    builder.declare_steps()
    work = builder.workload
    outer, middle, inner = work.inputs[0].shape
    mode = str(work.attr("mode"))
    lanes = builder.target.lanes
    if inner == 1:
        return builder.finish(_reduce_rows(builder, outer, middle, mode))
    start = -math.inf if mode == "max" else 0.0

    def columns(place: Expr, at: Expr, width: int) -> Stmt:
        base = place * (middle * inner) + at
        total = local("total", width)
        first = store(total, integer(0), const(start, width), width)

        def step(i: Expr) -> Stmt:
            value = load(builder.inputs[0], base + i * inner, width)
            now = load(total, integer(0), width)
            return store(total, integer(0), _combine(mode, now, value), width)

        result = load(total, integer(0), width)
        if mode == "mean":
            result = result * const(1.0 / middle, width)
        return seq([
            tirx.AllocBuffer(total), first, loop("i", middle, step),
            store(builder.output, place * inner + at, result, width),
        ])  # fmt: skip

    def row(place: Expr) -> Stmt:
        return over_vectors("j", inner, lanes, lambda at, width: columns(place, at, width))

    return builder.finish(loop("row", outer, row, "parallel"))


def _combine(mode: str, total: Expr, value: Expr) -> Expr:
    return tirx.max(total, value) if mode == "max" else total + value


def _reduce_rows(builder: KernelBuilder, rows: int, width: int, mode: str) -> Stmt:
    def row(number: Expr) -> Stmt:
        statements, result = row_reduction(
            builder, width, mode, lambda _, at, lanes: load(builder.inputs[0], number * width + at, lanes)
        )
        if mode == "mean":
            result = result * const(1.0 / width)
        return seq([*statements, store(builder.output, number, result)])

    return loop("row", rows, row, "parallel")


def row_reduction(
    builder: KernelBuilder, width: int, mode: str, element: object, name: str = "part"
) -> tuple[list[Stmt], Expr]:
    """Statements and the scalar result of reducing `element(block, offset, lanes)` over a row of `width`."""
    assert callable(element)
    lanes = builder.target.lanes
    start = -3.0e38 if mode == "max" else 0.0
    total = local(name, lanes)
    statements: list[Stmt] = [tirx.AllocBuffer(total), store(total, integer(0), const(start, lanes), lanes)]

    def join(at: Expr, size: int) -> Stmt:
        block = Block()
        value = element(block, at, size)
        now = load(total, integer(0), size)
        return seq([*block.statements, store(total, integer(0), _combine(mode, now, value), size)])

    # The tail joins lane by lane, so that no lane reads past the row.
    statements.append(over_vectors("i", width, lanes, join))
    size = lanes
    while size > 1:
        size //= 2
        low, high = load(total, integer(0), size), load(total, integer(size), size)
        statements.append(store(total, integer(0), _combine(mode, low, high), size))
    value, bound = bind(f"{name}_value", load(total, integer(0)))
    return [*statements, bound], value


def embedding(builder: KernelBuilder) -> Kernel:
    """Schedule of ``embedding``: rows of a table; an index outside it is clamped, memory stays safe."""
    work = builder.workload
    count, width = work.output.shape
    rows = work.attr("rows")
    assert isinstance(rows, int)
    table = builder.constant("table", rows * width, lambda constants: constants["table"])
    builder.declare_steps()

    def row(number: Expr) -> Stmt:
        index = tirx.Cast("int32", load(builder.inputs[0], number))
        name, bound = bind("index", tirx.max(tirx.min(index, integer(rows - 1)), integer(0)))
        move = over_vectors(
            "i", width, builder.target.lanes,
            lambda at, lanes: store(
                builder.output, number * width + at, load(table, name * width + at, lanes), lanes
            ),
        )  # fmt: skip
        return seq([bound, move])

    return builder.finish(loop("row", count, row, "parallel"))


def resample(builder: KernelBuilder) -> Kernel:
    """Schedule of ``resample``: two rows and two columns of the source, weighted (one of each for nearest)."""
    work = builder.workload
    n, h, w, c = work.inputs[0].shape
    _, out_h, out_w, _ = work.output.shape
    bilinear = work.attr("mode") == "bilinear"
    tables = {}
    for axis, size in (("h", out_h), ("w", out_w)):
        for part, dtype in (("low", "int32"), ("high", "int32"), ("fraction", "float32")):
            name = f"{axis}_{part}"
            tables[name] = builder.constant(name, size, _table(name, dtype), dtype)
    builder.declare_steps()

    def pixel(number: Expr, x: Expr) -> Stmt:
        image, y = tirx.floordiv(number, integer(out_h)), tirx.floormod(number, integer(out_h))
        bounds = []
        names = {}
        for axis, at in (("h", y), ("w", x)):
            for part in ("low", "high", "fraction"):
                names[axis, part], bound = bind(f"{axis}_{part}", load(tables[f"{axis}_{part}"], at))
                bounds.append(bound)

        def source(row: str, column: str, offset: Expr, lanes: int) -> Expr:
            base = ((image * h + names["h", row]) * w + names["w", column]) * work.in_pitch
            return load(builder.inputs[0], base + offset, lanes)

        def vector(offset: Expr, lanes: int) -> Stmt:
            value = source("low", "low", offset, lanes)
            if bilinear:
                across, down = splat(names["w", "fraction"], lanes), splat(names["h", "fraction"], lanes)
                rest = source("high", "low", offset, lanes)
                top = value + (source("low", "high", offset, lanes) - value) * across
                bottom = rest + (source("high", "high", offset, lanes) - rest) * across
                value = top + (bottom - top) * down
            full = (number * out_w + x) * c + offset
            return builder.write(value, lanes, full, offset)

        return seq([*bounds, over_vectors("i", c, builder.target.lanes, vector)])

    return builder.finish(
        loop("row", n * out_h, lambda number: loop("x", out_w, lambda x: pixel(number, x)), "parallel")
    )


def _table(name: str, dtype: str) -> Pack:
    return lambda constants: constants[name].astype(np.dtype(dtype))
