"""Coded convolutions: the weights of a block of output channels are decoded, then multiplied as float32 ones are.

What is decoded is a block's, and stays in a second-level cache while all positions pass: no thread ever holds the
float32 weights of the layer.
"""

from __future__ import annotations

from dataclasses import replace

from tvm import tirx
from tvm.tirx import Shuffle

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.coded.codes import Codes, codes
from hwaware.compiler.schedules.conv import tiling
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.direct import DirectPlan
from hwaware.compiler.schedules.direct_tile import Site
from hwaware.compiler.tir import Buffer, Expr, Stmt, bind, integer, load, loop, seq, store


def coded_panels(builder: KernelBuilder) -> Kernel:
    """Schedule ``coded``; parameters `positions` and `vectors` as those of ``direct``."""
    shape, tile, blocks = tiling(builder.workload, builder.target, Choice("direct", builder.choice.params))
    pieces = [
        (block.start + index * block.valid, block.valid, block.padded)
        for block in blocks
        for index in range(block.count)
    ]
    held = codes(builder, shape, pieces)
    builder.declare_steps()
    words = held.form.words * held.form.depth
    size = words + shape.steps * max(block.padded for block in blocks)
    room = builder.scratch("room", size, len(pieces))
    plan = DirectPlan(builder, shape, tile, blocks, room, 0, weights_outside=True)

    def block(number: Expr) -> Stmt:
        base, bound = bind("base", number * size)
        panel = base + words

        def of(site: Site) -> Stmt:
            at_panel = replace(site, first_weight=panel)
            strips = loop("strip", plan.strips, lambda strip: plan.strip(at_panel, strip))
            return seq([_decoded(held, shape, room, site, base, panel), strips])

        return seq([bound, held.unpacked(room, base, builder.target.lanes), plan.at_block(number, of)])

    return builder.finish(loop("block", len(pieces), block, "parallel"))


def _decoded(held: Codes, shape: ConvShape, room: Buffer, site: Site, base: Expr, panel: Expr) -> Stmt:
    """The weights of a site's block to `panel`, ``[height][width][input channel][channel of the block]``."""
    block, depth = site.block, held.form.depth
    taps = shape.rows.taps * shape.columns.taps
    first = (block.offset + site.index * block.padded) * held.blocks

    def of_block(number: Expr) -> Stmt:
        statements = []
        words = []
        for j in range(block.padded):
            word, bound = bind(f"word{j}", base + held.word(first + number * block.padded + j))
            words.append(word)
            statements.append(bound)
        for i in range(depth):
            place = number * depth + i
            channel = tirx.floordiv(place, integer(taps))
            step = (place - channel * taps) * shape.cg + channel if taps > 1 else place
            for start, width in zip(block.starts, block.widths, strict=True):
                values = [load(room, words[start + lane] + i) for lane in range(width)]
                vector = Shuffle(values, [integer(lane) for lane in range(width)]) if width > 1 else values[0]
                statements.append(store(room, panel + step * block.padded + start, vector, width))
        return seq(statements)

    return loop("number", held.blocks, of_block)
