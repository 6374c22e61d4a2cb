"""Convolutions and dense layers whose weights are stored in fewer bits and become float32 in registers.

Where reading weights is what takes the time, a dense layer of one row above all, fewer bytes are less time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from tvm import tirx

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.conv import direct_candidates, tiling
from hwaware.compiler.schedules.conv_shape import ConvShape, pack
from hwaware.compiler.schedules.direct import DirectPlan, weights_outside
from hwaware.compiler.schedules.direct_tile import Decode, Site, direct_tile
from hwaware.compiler.schedules.tile import ChannelBlock
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import Buffer, Expr, cast, const, integer, load, splat
from hwaware.graph.workload import HALF, INT4, INT4_ZERO, INT8, STORED, Workload


def stored_candidates(workload: Workload, target: Target) -> list[Choice]:
    """The tiles of float32 weights."""
    return [Choice("stored", choice.params) for choice in direct_candidates(workload, target)]


def stored(builder: KernelBuilder) -> Kernel:
    """Schedule ``stored`` of ``conv2d`` and ``dense``; parameters as those of ``direct``."""
    shape, tile, blocks = tiling(builder.workload, builder.target, builder.choice)
    form = str(builder.workload.attr(STORED))
    channels = shape.groups * sum(block.count * block.padded for block in blocks)
    steps = shape.steps
    decode: Decode
    if form.startswith(INT4):
        group = int(form.removeprefix(f"{INT4}x"))
        steps += steps % 2
        size, groups = channels * steps // 2, ceil_div(shape.steps, group)
        weight = builder.constant("weight", size, partial(_nibbles, shape, blocks), "uint8")
        scales = builder.constant("scale", channels * groups, partial(_scales, shape, blocks, groups), "float16")
        decode = _Int4(scales, channels // shape.groups, steps, group, groups)
    else:
        dtype = {INT8: "int8", HALF: "float16"}[form]
        weight = builder.constant("weight", channels * steps, lambda found: pack(found["weight"], shape, blocks), dtype)
        decode = _cast
    builder.declare_steps()
    outside = bool(builder.choice.get("weights", int(weights_outside(shape, tile, builder.target))))
    plan = DirectPlan(
        builder,
        shape,
        tile,
        blocks,
        weight,
        weights_outside=outside,
        parts=builder.choice.get("parts", 0),
        steps=steps,
        write_tile=partial(direct_tile, decode=decode),
    )
    return builder.finish(plan.body())


def _cast(site: Site, step: Expr, start: int, width: int) -> Expr:
    at = site.first_weight + step * site.block.padded + start
    return cast("float32", load(site.weight, at, width), width)


class _Int4:
    """Two reduction steps a byte, the first in its low half; a float16 scale for every `group` steps."""

    def __init__(self, scales: Buffer, channels: int, steps: int, group: int, groups: int) -> None:
        self._scales, self._channels, self._steps = scales, channels, steps
        self._group, self._groups = group, groups

    def __call__(self, site: Site, step: Expr, start: int, width: int) -> Expr:
        block = site.block
        two, group = integer(2), integer(self._group)
        at = tirx.floordiv(site.first_weight, two) + tirx.floordiv(step, two) * block.padded + start
        shift = splat(tirx.floormod(step, two) * 4, width)
        byte = cast("int32", load(site.weight, at, width), width)
        level = tirx.bitwise_and(tirx.shift_right(byte, shift), const(15, width, "int32"))
        first = (site.group * self._channels + block.offset + site.index * block.padded) * self._groups
        scale = load(self._scales, first + tirx.floordiv(step, group) * block.padded + start, width)
        return cast("float32", level - const(INT4_ZERO, width, "int32"), width) * cast("float32", scale, width)


def _nibbles(shape: ConvShape, blocks: Sequence[ChannelBlock], constants: Mapping[str, np.ndarray]) -> np.ndarray:
    """Packed levels, [group][block][step / 2][channel], of both steps of a byte."""
    packed = pack(constants["weight"], shape, tuple(blocks)) + np.int8(INT4_ZERO)
    parts, start = [], 0
    for _ in range(shape.groups):
        for block in blocks:
            for _ in range(block.count):
                rows = packed[start : start + shape.steps * block.padded].reshape(shape.steps, block.padded)
                start += rows.size
                rows = np.pad(rows, ((0, shape.steps % 2), (0, 0))).astype(np.uint8)
                parts.append((rows[0::2] | rows[1::2] << 4).reshape(-1))
    return np.concatenate(parts)


def _scales(
    shape: ConvShape, blocks: Sequence[ChannelBlock], groups: int, constants: Mapping[str, np.ndarray]
) -> np.ndarray:
    """Scales (K, groups) as [group][block][group of weights][channel]."""
    scale = constants["weight_scale"].reshape(shape.groups, shape.kg, groups)
    parts = []
    for rows in scale:
        for block in blocks:
            for index in range(block.count):
                start = block.start + index * block.valid
                part = rows[start : start + block.valid].T
                parts.append(np.pad(part, ((0, 0), (0, block.padded - block.valid))).reshape(-1))
    return np.concatenate(parts).astype(np.float16)
