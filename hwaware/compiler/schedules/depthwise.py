"""Depthwise convolution: channels are the vector dimension, every channel its own filter."""

from __future__ import annotations

import numpy as np
from tvm import tirx

from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.conv import conv_shape
from hwaware.compiler.schedules.tile import channel_blocks, choose_depthwise
from hwaware.compiler.schedules.window import Run, over_taps, runs
from hwaware.compiler.tir import (
    Expr,
    Stmt,
    bind,
    const,
    integer,
    load,
    local,
    loop,
    pieces,
    seq,
    store,
    with_local,
)


def depthwise(builder: KernelBuilder) -> Kernel:
    """Schedule of ``conv2d`` with one input and one output channel a group."""
    shape = conv_shape(builder)
    # conv_shape flattens 1×1 windows; a depthwise 1×1 is then a row of positions as well.
    channels = shape.groups
    tile = choose_depthwise(shape.columns.out, channels, builder.target)
    lanes = builder.target.lanes
    blocks = channel_blocks(channels, tile.vectors, lanes)
    taps = shape.rows.taps * shape.columns.taps
    padding = max(block.padded - block.valid for block in blocks)

    def pack(constants: dict[str, np.ndarray]) -> np.ndarray:
        rows = constants["weight"].reshape(channels, taps).T.reshape(-1)
        return np.pad(rows, (0, padding)).astype(np.float32)

    weight = builder.constant("weight", taps * channels + padding, pack)  # type: ignore[arg-type]
    builder.declare_steps()
    spans = list(runs(shape.columns, tile.positions))

    def tile_body(image: Expr, row: Expr, channel0: Expr, valid: int, span: Run, column: Expr) -> Stmt:
        widths = pieces(valid, lanes)
        accumulators = [local(f"acc{p}", valid) for p in range(span.width)]
        zero = [
            store(accumulator, integer(offset), const(0.0, width), width)
            for accumulator in accumulators
            for offset, width in widths
        ]
        axis = shape.columns

        def taps_of(r: Expr) -> Stmt:
            statements = []
            line = row * shape.rows.stride - shape.rows.pad + r * shape.rows.dilation
            for s in range(axis.taps):
                inside = [p for p in range(span.width) if span.count > 1 or axis.inside(span.start + p, s)]
                if not inside:
                    continue
                first = column * axis.stride + (s * axis.dilation - axis.pad)
                pixel = ((image * shape.rows.size + line) * axis.size + first) * channels + channel0
                for offset, width in widths:
                    at_weight = (r * axis.taps + s) * channels + channel0 + offset
                    vector, bound = bind(f"w{s}_{offset}", load(weight, at_weight, width))
                    statements.append(bound)
                    for p in inside:
                        index = integer(offset)
                        value = load(builder.inputs[0], pixel + (p * axis.stride * channels + offset), width)
                        total = load(accumulators[p], index, width) + value * vector
                        statements.append(store(accumulators[p], index, total, width))
            return seq(statements)

        reduce = over_taps(shape.rows, row, taps_of)
        writes = []
        for p in range(span.width):
            pixel = (image * shape.out_size[0] + row) * shape.out_size[1] + column + p
            for offset, width in widths:
                channel = channel0 + offset
                full = pixel * channels + channel
                value = load(accumulators[p], integer(offset), width)
                writes.append(builder.write(value, width, full, channel))
        return with_local(accumulators, seq([*zero, reduce, *writes]))

    def row_body(flat_row: Expr) -> Stmt:
        image = tirx.floordiv(flat_row, integer(shape.rows.out))
        row = flat_row - image * shape.rows.out
        return seq([
            loop(
                "co", block.count,
                lambda index, block=block: seq([
                    loop("wo", span.count, lambda number, span=span: tile_body(
                        image, row, index * block.valid + block.start, block.valid, span,
                        number * span.width + span.start))
                    for span in spans
                ]),
            )
            for block in blocks
        ])  # fmt: skip

    if shape.rows.out * shape.batch == 1:
        image = row = integer(0)
        return builder.finish(seq([
            loop("wo", span.count, lambda number, span=span: seq([
                loop("co", block.count, lambda index, block=block: tile_body(
                    image, row, index * block.valid + block.start, block.valid, span,
                    number * span.width + span.start))
                for block in blocks
            ]), "parallel")
            for span in spans
        ]))  # fmt: skip
    return builder.finish(loop("row", shape.batch * shape.rows.out, row_body, "parallel"))
