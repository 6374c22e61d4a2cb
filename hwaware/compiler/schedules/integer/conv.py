"""Convolutions and dense layers of uint8 levels and int8 weights: which tiles are worth a try, and a kernel of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder, Pack
from hwaware.compiler.schedules.conv_shape import ConvShape, conv_shape, dense_shape
from hwaware.compiler.schedules.direct import DirectPlan
from hwaware.compiler.schedules.integer.dots import LEAST_LANES, Dot, dot_of
from hwaware.compiler.schedules.integer.tile import IntegerTile
from hwaware.compiler.schedules.tile import ChannelBlock, Tile, channel_blocks, fitted, ranked_tiles
from hwaware.compiler.targets import Target
from hwaware.graph.workload import PAIRED, Workload

_TILES = 4
Constants = Mapping[str, np.ndarray]


def integer_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Register tiles of several shapes, and both orders of loops for the first."""
    shape = _shape(workload)
    room = _with_room(target, _dot(workload, target))
    tiles = ranked_tiles(*_extents(shape), room)[:_TILES]
    choices = [Choice.of("integer", positions=tile.positions, vectors=tile.vectors) for tile in tiles]
    if shape.positions > 1:
        choices.insert(1, choices[0].replaced(weights=int(not _outside(shape, tiles[0], target))))
    return choices


def integer(builder: KernelBuilder) -> Kernel:
    """Schedule ``integer`` of ``conv2d`` and ``dense``; parameters as those of ``direct``."""
    work, target, choice = builder.workload, builder.target, builder.choice
    dot, shape = _dot(work, target), _shape(work)
    room = _with_room(target, dot)
    best = ranked_tiles(*_extents(shape), room)[0]
    wanted = Tile(choice.get("positions", best.positions), choice.get("vectors", best.vectors))
    tile = fitted(wanted, *_extents(shape), room)
    blocks = channel_blocks(shape.kg, tile.vectors, target.lanes, LEAST_LANES)
    joined = _joined(work, shape, dot.depth)
    steps = shape.rows.taps * _row_steps(shape, dot.depth, joined)
    packed = shape.groups * steps * sum(block.count * block.padded for block in blocks)
    channels = shape.groups * shape.kg + target.lanes
    weight = builder.constant("weight", packed, partial(_pack, shape, blocks, dot.depth, joined), "int8")
    bias = builder.constant("bias", channels, _bias(channels, dot.offset), "int32")
    outside = None
    if not (shape.rows.always_inside() and shape.columns.always_inside()):
        taps = shape.rows.taps * (1 + shape.columns.taps)
        outside = builder.constant("outside", taps * channels, _given_back(shape, channels, dot.offset), "int32")
    builder.declare_steps()
    first = bool(choice.get("weights", int(_outside(shape, tile, target))))
    write = IntegerTile(dot, shape, bias, outside, channels, joined)
    plan = DirectPlan(builder, shape, tile, blocks, weight, 0, first, choice.get("parts", 0), steps, write)
    return builder.finish(plan.body())


def _dot(workload: Workload, target: Target) -> Dot:
    return dot_of(target, bool(dict(workload.attrs).get(PAIRED, False)))


def _with_room(target: Target, dot: Dot) -> Target:
    """The target without the registers that multiplying takes."""
    return replace(target, registers=max(4, target.registers - dot.spare), lane_fma=1)


def _shape(workload: Workload) -> ConvShape:
    return dense_shape(workload) if workload.kind == "dense" else conv_shape(workload)


def _extents(shape: ConvShape) -> tuple[int, int]:
    return min(shape.columns.out, 4096), shape.kg


def _outside(shape: ConvShape, tile: Tile, target: Target) -> bool:
    one_tile = shape.batch * shape.rows.out == 1 and shape.columns.out <= tile.positions
    return one_tile or shape.weight_elements > target.l2 // 2


def _joined(work: Workload, shape: ConvShape, depth: int) -> bool:
    """Whether the taps of a row of the window are one run of channels: neighbours in memory, none ever left out."""
    axis = shape.columns
    return axis.taps > 1 and axis.dilation == 1 and work.in_pitch == shape.cg and axis.always_inside()


def _row_steps(shape: ConvShape, depth: int, joined: bool) -> int:
    """Reduction steps of a row of the window, with padding."""
    taps = shape.columns.taps
    runs, run = (1, taps * shape.cg) if joined else (taps, shape.cg)
    return runs * -(-run // depth) * depth


def _pack(
    shape: ConvShape, blocks: tuple[ChannelBlock, ...], depth: int, joined: bool, constants: Constants
) -> np.ndarray:
    """(K, C/g, R, S) levels as ``[group][block][r][s][c / depth][vector][lane][c % depth]``, padding zero."""
    rows, columns = shape.rows.taps, shape.columns.taps
    weight = constants["weight"].reshape(shape.groups, shape.kg, shape.cg, rows, columns).transpose(0, 1, 3, 4, 2)
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
                parts.append(part.transpose(1, 0, 2).reshape(-1))
    return np.concatenate(parts).astype(np.int8)


def _bias(channels: int, offset: int) -> Pack:
    def pack(constants: Constants) -> np.ndarray:
        sums = constants["weight"].astype(np.int64).reshape(len(constants["weight"]), -1).sum(1)
        values = constants["bias"].astype(np.int64) - (int(constants["zero"][0]) - offset) * sums
        return _wrapped(np.pad(values, (0, channels - len(values))))

    return pack


def _given_back(shape: ConvShape, channels: int, offset: int) -> Pack:
    """zero · Σ w of each row of the window, then of each tap; a value a channel."""

    def pack(constants: Constants) -> np.ndarray:
        weight = constants["weight"].astype(np.int64)
        taps = weight.reshape(len(weight), shape.cg, shape.rows.taps, shape.columns.taps).sum(1)
        lines = np.concatenate([taps.sum(2).T, taps.reshape(len(weight), -1).T])
        values = (int(constants["zero"][0]) - offset) * lines
        return _wrapped(np.pad(values, ((0, 0), (0, channels - values.shape[1]))))

    return pack


def _wrapped(values: np.ndarray) -> np.ndarray:
    """Sums in int32 as a processor makes them."""
    return values.astype(np.uint32).view(np.int32)
