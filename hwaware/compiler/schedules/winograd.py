"""Winograd convolution F(m×m, 3×3), m = 2 or 4: 3×3 windows at stride 1 with a quarter of the multiply-adds for m = 4.

Tiles of the output, m × m pixels each and taken in row order over the whole batch, are cut into strips. A strip's
input tiles are transformed to V ``[n·n][tile][channel]``; for each block of output channels, n·n matrix products with
the weights, transformed when the model is compiled, give M ``[n·n][tile][channel of the block]``, which the second
transform turns into pixels. V and M stay in the second-level cache; weights ``[block][n·n][c][channel of the block]``
stream through once a strip.

Threads share either the strips, each with a V of its own, or one strip's tiles and then its channel blocks.

Rounding: with u = 2⁻²⁴ and γ_k = ku / (1 - ku), the result before the epilogue differs from the exact one by at most
``γ_k |Aᵀ| (Σ_c |G| |g_c| |Gᵀ| ⊙ |Bᵀ| |d_c| |B|) |A|``, where k = C + 4m + 2 counts the roundings any term goes through:
one for each of C products, at most m for each of four one-dimensional transforms, two for weights rounded from double.
It is the componentwise bound of Higham, "Accuracy and stability of numerical algorithms", 2nd edition, section 3.1, on
each step; Barabasz et al., "Error analysis and improving the accuracy of Winograd convolution", ACM TOMS 46(4), 2020,
bound norms in the same way. Typical errors are far smaller: of random weights and 256 input channels, 2.4e-6 of the
largest output for m = 4 and 7e-7 for m = 2, where direct convolution in float32 has 3e-7.
"""

from __future__ import annotations

import numpy as np
from tvm import tirx

from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.tile import ChannelBlock, Tile, channel_blocks, vector_widths
from hwaware.compiler.schedules.winograd_layout import Layout, Plan, task_floats
from hwaware.compiler.schedules.winograd_products import multiply
from hwaware.compiler.schedules.winograd_tiles import transform_inputs, transform_products
from hwaware.compiler.schedules.winograd_transforms import filtering
from hwaware.compiler.targets import Target
from hwaware.compiler.tir import Expr, Stmt, branch, integer, loop, seq
from hwaware.graph.workload import Workload

# Bytes a cycle from the second-level cache.
_CACHE_BYTES = 32.0


def winograd(builder: KernelBuilder) -> Kernel:
    """Schedule of a 3×3 ``conv2d`` of stride 1 without dilation or groups.

    Parameters: `tile` is m; at most `strip` tiles are handled at once; `tasks` shares are made for the threads, of the
    strips where `split` is 0, of each strip's tiles and then of its channel blocks where it is 1.
    """
    layout = layout_of(builder.workload, builder.target, builder.choice)
    shared = builder.choice.get("split", 0)
    tasks = tasks_of(layout, builder.choice)
    size = layout.points * layout.image[3] * sum(block.count * block.padded for block in layout.blocks)
    weight = builder.constant("weight", size, lambda c: pack(c["weight"], layout))
    builder.declare_steps()
    # Sharing one V, each task writes the rows of its tiles.
    v = builder.scratch("v", *_slices(ceil_div(layout.v_size, tasks) if shared else layout.v_size, tasks))
    m = builder.scratch("m", *_slices(layout.m_size, tasks))
    patch = builder.scratch("patch", *_slices(layout.patch_size, tasks)) if layout.bordered else v
    plan = Plan(builder, layout, weight, v, m, patch)
    return builder.finish(_share_within(plan, tasks) if shared else _share_strips(plan, tasks))


def _slices(floats: int, tasks: int) -> tuple[int, int]:
    """Size of a task's slice, and how many: of few sizes where there are several, so that operations share them."""
    return (task_floats(floats) if tasks > 1 else floats), tasks


def layout_of(work: Workload, target: Target, choice: Choice) -> Layout:
    """Strips of nearly equal size, as many for each task where tasks share them."""
    method = filtering(choice.get("tile", 4))
    tiles = Layout(work, method, 1, Tile(1, 1), ()).tiles
    strips = ceil_div(tiles, max(1, choice.get("strip", tiles)))
    if strips > 1 and not choice.get("split", 0):
        strips = ceil_div(strips, _tasks(choice)) * _tasks(choice)
    strip = ceil_div(tiles, strips)
    outputs = work.output.shape[3]
    tile = _register_tile(strip, outputs, target)
    return Layout(work, method, strip, tile, channel_blocks(outputs, tile.vectors, target.lanes))


def tasks_of(layout: Layout, choice: Choice) -> int:
    """How many shares are made for the threads."""
    return min(_tasks(choice), layout.units if choice.get("split", 0) else layout.strips)


def _tasks(choice: Choice) -> int:
    return max(1, choice.get("tasks", 1))


def _register_tile(strip: int, outputs: int, target: Target) -> Tile:
    """The tile of nearly equal parts of the strip with the lowest modelled time.

    A strip's weights come from the second-level cache once for each part, so that few large parts are best; a tile of
    one vector has the fewest, but each of its multiply-adds needs a load.
    """
    vectors = len(vector_widths(outputs, target.lanes))

    def cycles(tile: Tile) -> float:
        full, rest = divmod(strip, tile.positions)
        fetch = 4 * target.lanes * tile.vectors / _CACHE_BYTES
        parts = [tile.positions] * full + [rest] * (rest > 0)
        return sum(target.step_cycles(p, tile.vectors) + fetch for p in parts) * ceil_div(vectors, tile.vectors)

    tiles = []
    for v in range(min(2, vectors), min(vectors, target.registers) + 1):
        fitting = [p for p in range(1, target.registers + 1) if target.tile_registers(p, v) <= target.registers]
        if fitting:
            tiles.append(Tile(ceil_div(strip, ceil_div(strip, fitting[-1])), v))
    return min(tiles, key=lambda tile: (cycles(tile), -tile.positions * tile.vectors))


def pack(weight: np.ndarray, layout: Layout) -> np.ndarray:
    """(K, C, 3, 3) weights, transformed, as ``[block][n·n][c][channel of the block]``, padding zero."""
    u = layout.method.weights(weight).astype(np.float32).reshape(layout.points, layout.image[3], -1)
    parts = []
    for block in layout.blocks:
        for index in range(block.count):
            start = block.start + index * block.valid
            part = u[:, :, start : start + block.valid]
            parts.append(np.pad(part, ((0, 0), (0, 0), (0, block.padded - block.valid))).reshape(-1))
    return np.concatenate(parts)


def _share_strips(plan: Plan, tasks: int) -> Stmt:
    """Tasks with neighbouring strips, each with a V and an M."""
    layout = plan.layout

    def task(number: Expr) -> Stmt:
        sizes = (layout.v_size, layout.m_size, layout.patch_size)
        v_base, m_base, patch_base = (number * _slices(size, tasks)[0] for size in sizes)

        def strip(at: Expr) -> Stmt:
            first, count = _span(layout, at)
            return seq([
                loop("tile", count, lambda row: transform_inputs(plan, first + row, row, v_base, patch_base)),
                _each_unit(plan, integer(0), integer(layout.units), first, count, v_base, m_base),
            ])  # fmt: skip

        low, high = _share(number, layout.strips, tasks)
        return loop("strip", high - low, strip, start=low)

    return loop("task", tasks, task, "parallel")


def _share_within(plan: Plan, tasks: int) -> Stmt:
    """Strip by strip: tasks share its tiles, then its blocks of output channels, each with an M."""
    layout = plan.layout

    def strip(at: Expr) -> Stmt:
        first, count = _span(layout, at)

        def transform(number: Expr) -> Stmt:
            low, high = _share(number, count, tasks)
            patch_base = number * _slices(layout.patch_size, tasks)[0]
            return loop(
                "tile",
                high - low,
                lambda row: transform_inputs(plan, first + row, row, integer(0), patch_base),
                start=low,
            )

        def products(number: Expr) -> Stmt:
            low, high = _share(number, layout.units, tasks)
            return _each_unit(plan, low, high, first, count, integer(0), number * _slices(layout.m_size, tasks)[0])

        return seq([loop("task", tasks, transform, "parallel"), loop("task", tasks, products, "parallel")])

    return loop("strip", layout.strips, strip)


def _each_unit(plan: Plan, low: Expr, high: Expr, first: Expr, count: Expr | int, v_base: Expr, m_base: Expr) -> Stmt:
    """Products and pixels of the blocks of output channels from `low` up to `high`, of `count` tiles from `first`."""

    def unit(block: ChannelBlock, index: Expr) -> Stmt:
        return seq([
            multiply(plan, block, index, v_base, m_base),
            loop("tile", count, lambda row: transform_products(plan, block, index, first + row, row, m_base)),
        ])  # fmt: skip

    def each(number: Expr) -> Stmt:
        block, *rest = plan.layout.blocks
        if not rest:
            return unit(block, number)
        return branch(number < block.count, unit(block, number), unit(rest[0], number - block.count))

    return loop("unit", high - low, each, start=low)


def _span(layout: Layout, at: Expr) -> tuple[Expr, Expr]:
    """First tile of a strip, and how many it has."""
    first = at * layout.strip
    return first, tirx.min(integer(layout.strip), layout.tiles - first)


def _share(number: Expr, count: Expr | int, tasks: int) -> tuple[Expr, Expr]:
    """From where to where in `count` things task `number` of `tasks` works."""
    return tirx.truncdiv(number * count, integer(tasks)), tirx.truncdiv((number + 1) * count, integer(tasks))
