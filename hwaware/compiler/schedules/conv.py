"""Convolutions and dense layers by register tiles: which tiles are worth a try, and the kernel of one."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder
from hwaware.compiler.schedules.conv_shape import ConvShape, layer_shape, pack, packed_size
from hwaware.compiler.schedules.direct import DirectPlan, weights_outside
from hwaware.compiler.schedules.tile import ChannelBlock, Tile, channel_blocks, choose_tile, fitted, ranked_tiles
from hwaware.compiler.targets import Target
from hwaware.graph.workload import Workload

# How many tiles are worth a measurement.
_TILES = 4


def direct_candidates(workload: Workload, target: Target) -> list[Choice]:
    """Register tiles of several shapes, and the other order of loops where the weights are neither small nor large."""
    shape = layer_shape(workload)
    tiles = ranked_tiles(*_extents(shape), target, _spacing(workload, shape))
    choices = [Choice.of("direct", positions=tile.positions, vectors=tile.vectors) for tile in tiles]
    if shape.positions == 1:
        # Weights stream through once whatever the tile: memory decides.
        return choices[:2]
    best = choices[0]
    if shape.weight_elements * 4 > target.l1:
        choices.insert(_TILES, best.replaced(weights=int(not weights_outside(shape, tiles[0], target))))
    return choices[: _TILES + 1]


def direct(builder: KernelBuilder) -> Kernel:
    """Schedule ``direct`` of ``conv2d`` and ``dense``.

    Parameters: `positions` and `vectors` of the tile; `weights` 1 to loop over blocks of weights outermost, 0 over
    positions; `parts` as in `DirectPlan`.
    """
    shape, tile, blocks = tiling(builder.workload, builder.target, builder.choice)

    def packed(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        return pack(constants["weight"], shape, blocks).astype(np.float32)

    weight = builder.constant("weight", packed_size(shape, blocks), packed)
    builder.declare_steps()
    choice = builder.choice
    outside = bool(choice.get("weights", int(weights_outside(shape, tile, builder.target))))
    plan = DirectPlan(builder, shape, tile, blocks, weight, 0, outside, choice.get("parts", 0))
    return builder.finish(plan.body())


def tiling(workload: Workload, target: Target, choice: Choice) -> tuple[ConvShape, Tile, tuple[ChannelBlock, ...]]:
    """Extents, the register tile that `choice` comes to at these widths, and the blocks of output channels."""
    shape = layer_shape(workload)
    extents = _extents(shape)
    best = choose_tile(*extents, target, _spacing(workload, shape))
    wanted = Tile(choice.get("positions", best.positions), choice.get("vectors", best.vectors))
    tile = fitted(wanted, *extents, target)
    return shape, tile, channel_blocks(shape.kg, tile.vectors, target.lanes)


def _extents(shape: ConvShape) -> tuple[int, int]:
    return min(shape.columns.out, 4096), shape.kg


def _spacing(workload: Workload, shape: ConvShape) -> int:
    """Bytes between the inputs of neighbouring output positions."""
    return 4 * workload.in_pitch * shape.columns.stride
