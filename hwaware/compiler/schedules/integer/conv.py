"""Convolutions and dense layers of uint8 levels and int8 weights: which tiles are worth a try, and a kernel of one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape, layer_shape
from hwaware.compiler.schedules.direct import DirectPlan
from hwaware.compiler.schedules.integer.biases import Constants, biases
from hwaware.compiler.schedules.integer.dots import LEAST_LANES, Dot
from hwaware.compiler.schedules.integer.padding import padding
from hwaware.compiler.schedules.integer.tile import IntegerTile
from hwaware.compiler.schedules.integer.ways import IntegerTarget, dot_of
from hwaware.compiler.schedules.tile import ChannelBlock, Tile, channel_blocks, fitted, ranked_tiles
from hwaware.compiler.targets import Target
from hwaware.graph.workload import PAIRED, Workload

_TILES = 4


def integer_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Register tiles of several shapes, and both orders of loops for the first."""
    shape = layer_shape(workload)
    room = IntegerTarget.of(target, _dot(workload, target))
    tiles = ranked_tiles(*_extents(shape), room, _spacing(workload, shape))[:_TILES]
    choices = [Choice.of("integer", positions=tile.positions, vectors=tile.vectors) for tile in tiles]
    if shape.positions > 1:
        choices.insert(1, choices[0].replaced(weights=int(not _outside(shape, tiles[0], target))))
    return choices


@dataclass(frozen=True)
class Tiling:
    """What a choice comes to: extents, how to multiply, the register tile, blocks of output channels.

    `steps` are input channels of one output as they are packed; `outside` is whether blocks of weights are the outer
    loop.
    """

    shape: ConvShape
    dot: Dot
    tile: Tile
    blocks: tuple[ChannelBlock, ...]
    joined: bool
    steps: int
    outside: bool


def integer_tiling(workload: Workload, target: Target, choice: Choice) -> Tiling:
    """How `choice` writes `workload` at its widths."""
    dot, shape = _dot(workload, target), layer_shape(workload)
    room = IntegerTarget.of(target, dot)
    best = ranked_tiles(*_extents(shape), room, _spacing(workload, shape))[0]
    wanted = Tile(choice.get("positions", best.positions), choice.get("vectors", best.vectors))
    tile = fitted(wanted, *_extents(shape), room)
    blocks = channel_blocks(shape.kg, tile.vectors, target.lanes, LEAST_LANES)
    joined = _joined(workload, shape)
    steps = shape.rows.taps * _row_steps(shape, dot.depth, joined)
    outside = bool(choice.get("weights", int(_outside(shape, tile, target))))
    return Tiling(shape, dot, tile, blocks, joined, steps, outside)


def integer(builder: KernelBuilder) -> Kernel:
    """Schedule ``integer`` of ``conv2d`` and ``dense``; parameters as those of ``direct``."""
    work, target, choice = builder.workload, builder.target, builder.choice
    tiling = integer_tiling(work, target, choice)
    shape, dot, blocks, joined = tiling.shape, tiling.dot, tiling.blocks, tiling.joined
    packed = shape.groups * tiling.steps * sum(block.count * block.padded for block in blocks)
    channels = shape.groups * shape.kg + target.lanes
    weight = builder.constant("weight", packed, partial(_pack, shape, blocks, dot, joined), "int8")
    bias = builder.constant("bias", channels, biases(channels, dot.offset), "int32")
    outside = padding(builder, shape, dot, channels, joined=joined)
    builder.declare_steps()
    plan = DirectPlan(
        builder,
        shape,
        tiling.tile,
        blocks,
        weight,
        weights_outside=tiling.outside,
        parts=choice.get("parts", 0),
        steps=tiling.steps,
        write_tile=IntegerTile(dot, shape, bias, outside, joined),
    )
    return builder.finish(plan.body())


def _dot(workload: Workload, target: Target) -> Dot:
    return dot_of(target, bool(dict(workload.attrs).get(PAIRED, False)), layer_shape(workload).positions)


def _extents(shape: ConvShape) -> tuple[int, int]:
    return min(shape.columns.out, 4096), shape.kg


def _spacing(workload: Workload, shape: ConvShape) -> int:
    """Bytes between the inputs of neighbouring output positions."""
    return workload.in_pitch * shape.columns.stride


def _outside(shape: ConvShape, tile: Tile, target: Target) -> bool:
    one_tile = shape.batch * shape.rows.out == 1 and shape.columns.out <= tile.positions
    return one_tile or shape.weight_elements > target.l2 // 2


def _joined(work: Workload, shape: ConvShape) -> bool:
    """Whether the taps of a row of the window are one run of channels: neighbours in memory, none ever left out."""
    axis = shape.columns
    return axis.taps > 1 and axis.dilation == 1 and work.in_pitch == shape.cg and axis.always_inside()


def _row_steps(shape: ConvShape, depth: int, joined: bool) -> int:
    """Reduction steps of a row of the window, with padding."""
    taps = shape.columns.taps
    runs, run = (1, taps * shape.cg) if joined else (taps, shape.cg)
    return runs * -(-run // depth) * depth


def _pack(
    shape: ConvShape, blocks: tuple[ChannelBlock, ...], dot: Dot, joined: bool, constants: Constants
) -> np.ndarray:
    """(K, C/g, R, S) levels as ``[group][block][r][s][c / depth][vector]``, of each vector in the dot's order."""
    depth, weight = dot.depth, constants["weight"]
    rows, columns = shape.rows.taps, shape.columns.taps
    weight = weight.reshape(shape.groups, shape.kg, shape.cg, rows, columns).transpose(0, 1, 3, 4, 2)
    runs = weight.reshape(shape.groups, shape.kg, rows, 1, -1) if joined else weight
    runs = np.pad(runs, [(0, 0)] * 4 + [(0, -runs.shape[-1] % depth)])
    runs = runs.reshape(shape.groups, shape.kg, -1, depth)
    parts = []
    for group in range(shape.groups):
        for block in blocks:
            for index in range(block.count):
                start = block.start + index * block.valid
                part = runs[group, start : start + block.valid]
                part = np.pad(part, ((0, block.padded - block.valid), (0, 0), (0, 0)))
                parts.append(dot.order(part.transpose(1, 0, 2)).reshape(-1))
    return np.concatenate(parts).astype(np.int8)
