"""A sparse dense layer of few rows, or a 1×1 convolution of few positions: a scalar product an output channel.

Inputs are gathered four at a time; weights are read once for all rows.
"""

from __future__ import annotations

import operator
from functools import reduce

import numpy as np
from tvm.tirx import Shuffle

from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape
from hwaware.compiler.schedules.indices import four
from hwaware.compiler.schedules.sparse.entries import Entries, entries
from hwaware.compiler.tir import Block, Expr, Stmt, const, integer, load, local, loop, seq, store, with_local

# Inputs of a vector. Two vectors of sums take turns, as an addition is done only some cycles after it began.
_GATHERED, _TURNS = 4, 2


def sparse_rows(builder: KernelBuilder, shape: ConvShape) -> Kernel:
    """Every output position by itself; `shape` has a window of one tap, without padding."""
    pitch = builder.workload.in_pitch
    kept = entries(builder, shape.kg, np.arange(shape.cg), shape.cg)
    builder.declare_steps()
    axis = shape.columns
    pixels = [column * axis.stride * pitch for column in range(axis.out)]
    body = loop("k", shape.kg, lambda k: _channel(builder, kept, pixels, k, shape.kg), "parallel")
    return builder.finish(body)


def _channel(builder: KernelBuilder, kept: Entries, pixels: list[int], k: Expr, channels: int) -> Stmt:
    first, count, statements = kept.of(k)
    source = builder.inputs[0]
    sums = [[local(f"acc{p}_{turn}", _GATHERED) for turn in range(_TURNS)] for p in range(len(pixels))]
    # LLVM keeps a buffer in a register only if all accesses to it are of one width.
    rest = [local(f"rest{p}", 1) for p in range(len(pixels))]
    statements += [store(total, integer(0), const(0.0, _GATHERED), _GATHERED) for turns in sums for total in turns]
    statements += [store(total, integer(0), const(0.0)) for total in rest]

    def add(entry: Expr, turns: int) -> Stmt:
        """A vector's products for each of `turns`."""
        added = []
        for turn in range(turns):
            at = first + entry + turn * _GATHERED
            places, named = four(kept.places, at)
            added += named
            weight = load(kept.values, at, _GATHERED)
            for p, pixel in enumerate(pixels):
                inputs = [load(source, place + pixel) for place in places]
                value = Shuffle(inputs, [integer(index) for index in range(_GATHERED)])
                total = load(sums[p][turn], integer(0), _GATHERED)
                added.append(store(sums[p][turn], integer(0), total + value * weight, _GATHERED))
        return seq(added)

    def add_one(entry: Expr) -> Stmt:
        at = first + entry
        weight, place = load(kept.values, at), kept.place(at)
        return seq([
            store(total, integer(0), load(total, integer(0)) + load(source, place + pixel) * weight)
            for total, pixel in zip(rest, pixels, strict=True)
        ])  # fmt: skip

    done, several = kept.by(_GATHERED * _TURNS, count, lambda entry: add(entry, _TURNS))
    more, vectors = kept.by(_GATHERED, count - done, lambda entry: add(done + entry, 1))
    _, singles = kept.by(1, count - done - more, lambda entry: add_one(done + more + entry))
    statements += [*several, *vectors, *singles]
    for p, turns in enumerate(sums):
        names = Block()
        lanes = names.spill(reduce(operator.add, [load(turn, integer(0), _GATHERED) for turn in turns]), _GATHERED)
        parts = [load(lanes, integer(lane)) for lane in range(_GATHERED)]
        total = ((parts[0] + parts[1]) + (parts[2] + parts[3])) + load(rest[p], integer(0))
        statements += [*names.statements, builder.write(total, 1, k + p * channels, k)]
    return with_local([*(total for turns in sums for total in turns), *rest], seq(statements))
