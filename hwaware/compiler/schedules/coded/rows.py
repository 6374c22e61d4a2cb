"""A coded dense layer of few rows, or a 1×1 convolution of few positions: codewords times inputs, channel by channel.

A few output channels share what is read of the inputs. A codeword stays in the first-level cache.
"""

from __future__ import annotations

import operator
from functools import reduce

from tvm import tirx

from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.coded.codes import Codes, codes
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.indices import four
from hwaware.compiler.schedules.parts import ranges
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
    pieces,
    seq,
    store,
    with_local,
)

# Output channels at once, and ranges of them that threads share out: each unpacks the codebook for itself.
_CHANNELS, _PARTS = 4, 4


def coded_rows(builder: KernelBuilder, shape: ConvShape) -> Kernel:
    """Every output position by itself; `shape` has a window of one tap, without padding."""
    groups = ceil_div(shape.kg, _CHANNELS)
    held = codes(builder, shape, _groups(shape.kg))
    builder.declare_steps()
    sizes = ranges(groups, _PARTS)
    room_size = held.form.words * held.form.depth
    room = builder.scratch("room", room_size, len(sizes))
    size, longer = sizes[-1], sizes.count(sizes[-1] + 1)

    def part(number: Expr) -> Stmt:
        low = number * size + tirx.min(number, integer(longer))
        count = tirx.Select(number < integer(longer), integer(size + 1), integer(size)) if longer else size
        base, bound = bind("base", number * room_size)
        return seq([
            bound,
            held.unpacked(room, base, builder.target.lanes),
            loop("group", count, lambda i: _group(builder, shape, held, room, base, low + i)),
        ])  # fmt: skip

    return builder.finish(loop("part", len(sizes), part, "parallel"))


def _groups(channels: int) -> list[tuple[int, int, int]]:
    """First channel, channels, and those that are read."""
    starts = range(0, channels, _CHANNELS)
    return [(start, min(_CHANNELS, channels - start), _CHANNELS) for start in starts]


def _group(builder: KernelBuilder, shape: ConvShape, held: Codes, room: Buffer, base: Expr, group: Expr) -> Stmt:
    axis, depth = shape.columns, held.form.depth
    widths = pieces(depth, builder.target.lanes)
    pixels = [column * axis.stride * builder.workload.in_pitch for column in range(axis.out)]
    sums = {
        (p, j, start): local(f"acc{p}_{j}_{start}", width)
        for p in range(len(pixels))
        for j in range(_CHANNELS)
        for start, width in widths
    }
    width_of = dict(widths)
    zero = [store(total, integer(0), const(0.0, width_of[key[2]]), width_of[key[2]]) for key, total in sums.items()]

    def block(number: Expr) -> Stmt:
        statements = []
        words = []
        found, named = four(held.codes, (group * held.blocks + number) * _CHANNELS)
        statements += named
        for j, code in enumerate(found):
            word, bound = bind(f"word{j}", base + code * depth)
            words.append(word)
            statements.append(bound)
        for p, pixel in enumerate(pixels):
            for start, width in widths:
                value, bound = bind(f"x{p}_{start}", load(builder.inputs[0], number * depth + (start + pixel), width))
                statements.append(bound)
                for j in range(_CHANNELS):
                    total = sums[p, j, start]
                    product = load(room, words[j] + start, width) * value
                    statements.append(store(total, integer(0), load(total, integer(0), width) + product, width))
        return seq(statements)

    written = []
    for p in range(len(pixels)):
        for j in range(_CHANNELS):
            totals = [(sums[p, j, start], width) for start, width in widths]
            channel = group * _CHANNELS + j
            written.append(_if_there(shape.kg, group, j, _written(builder, totals, channel, p * shape.kg)))
    return with_local(list(sums.values()), seq([*zero, loop("block", held.blocks, block), *written]))


def _written(builder: KernelBuilder, totals: list[tuple[Buffer, int]], channel: Expr, row: int) -> Stmt:
    """The sum of all lanes of some vectors, to `channel` of the row that begins at `row`."""
    names = Block()
    lanes = []
    for total, width in totals:
        place = names.spill(load(total, integer(0), width), width) if width > 1 else total
        lanes += [load(place, integer(lane)) for lane in range(width)]
    return seq([*names.statements, builder.write(reduce(operator.add, lanes), 1, channel + row, channel)])


def _if_there(channels: int, group: Expr, j: int, body: Stmt) -> Stmt:
    """The last group may have channels that the layer has not."""
    if channels % _CHANNELS == 0 or j < channels % _CHANNELS:
        return body
    return tirx.IfThenElse(group < integer(channels // _CHANNELS), body, None)
