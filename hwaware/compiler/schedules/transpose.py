"""Transposed convolution as ordinary convolutions, one for each phase of the stride.

Input position u adds to output y = u·stride - pad + r·dilation. Outputs with equal (y + pad) mod stride use the same
taps r, in reverse order of u: each such phase is a convolution of stride 1 whose outputs lie `stride` apart. A
dilated filter is spread out with zeros first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwaware.compiler.kernel import Kernel, KernelBuilder, ceil_div
from hwaware.compiler.schedules.conv_shape import ConvShape, pack, packed_size
from hwaware.compiler.schedules.direct import DirectPlan, weights_outside
from hwaware.compiler.schedules.tile import channel_blocks, choose_tile
from hwaware.compiler.schedules.window import Axis
from hwaware.compiler.tir import seq


@dataclass(frozen=True)
class Phase:
    """Along one axis: the convolution's extents, the first output, and the taps in reading order."""

    axis: Axis
    start: int
    taps: tuple[int, ...]


def phases(size: int, out: int, taps: int, stride: int, pad: int) -> list[Phase]:
    """The phases of one axis that have outputs; `taps` counts the spread-out filter."""
    result = []
    for residue in range(stride):
        start = (residue - pad) % stride
        if start >= out:
            continue
        count = ceil_div(out - start, stride)
        chosen = tuple(range(residue, taps, stride))
        # Output start + i·stride with tap residue + t·stride reads input (start + pad - residue)/stride + i - t.
        base = (start + pad - residue) // stride
        length = max(1, len(chosen))
        axis = Axis(size, count, length, 1, (length - 1) - base, 1)
        result.append(Phase(axis, start, chosen[::-1]))
    return result


def conv2d_transpose(builder: KernelBuilder) -> Kernel:
    """Schedule of ``conv2d_transpose``; weights come as (C, K/groups, R, S)."""
    work = builder.workload
    n, h, w, c = work.inputs[0].shape
    _, out_h, out_w, k = work.output.shape
    (r, s), stride, pad, dilation = (work.ints(x) for x in ("kernel", "stride", "padding", "dilation"))
    groups = work.attr("groups")
    assert isinstance(groups, int)
    spread = ((r - 1) * dilation[0] + 1, (s - 1) * dilation[1] + 1)
    parts = [
        (vertical, horizontal)
        for vertical in phases(h, out_h, spread[0], stride[0], pad[0])
        for horizontal in phases(w, out_w, spread[1], stride[1], pad[1])
    ]
    shapes = [
        ConvShape(
            n, groups, c // groups, k // groups, v.axis, x.axis, (out_h, out_w),
            (stride[0], stride[1]), (v.start, x.start),
        )
        for v, x in parts
    ]  # fmt: skip
    tiles = [choose_tile(shape.columns.out, shape.kg, builder.target) for shape in shapes]
    blocks = [
        channel_blocks(shape.kg, tile.vectors, builder.target.lanes) for shape, tile in zip(shapes, tiles, strict=True)
    ]
    sizes = [packed_size(shape, block) for shape, block in zip(shapes, blocks, strict=True)]

    def pack_all(constants: Mapping[str, np.ndarray]) -> np.ndarray:
        filters = _as_convolution(constants["weight"], groups, dilation)
        packed = []
        for (v, x), shape, block in zip(parts, shapes, blocks, strict=True):
            packed.append(pack(_select(filters, v.taps, x.taps), shape, block))
        return np.concatenate(packed)

    weight = builder.constant("weight", sum(sizes), pack_all)
    builder.declare_steps()
    bases = np.cumsum([0, *sizes]).tolist()
    bodies = [
        DirectPlan(builder, shape, tile, block, weight, base, weights_outside(shape, tile, builder.target)).body()
        for shape, tile, block, base in zip(shapes, tiles, blocks, bases[:-1], strict=True)
    ]
    return builder.finish(seq(bodies))


def _as_convolution(weight: np.ndarray, groups: int, dilation: tuple[int, ...]) -> np.ndarray:
    """(C, K/g, R, S) as (K, C/g, R', S'), spread out by the dilation."""
    c, kg, r, s = weight.shape
    swapped = weight.reshape(groups, c // groups, kg, r, s).transpose(0, 2, 1, 3, 4).reshape(groups * kg, -1, r, s)
    out = np.zeros((*swapped.shape[:2], (r - 1) * dilation[0] + 1, (s - 1) * dilation[1] + 1), swapped.dtype)
    out[:, :, :: dilation[0], :: dilation[1]] = swapped
    return out


def _select(filters: np.ndarray, rows: tuple[int, ...], columns: tuple[int, ...]) -> np.ndarray:
    """The taps of one phase; a phase without any is a single tap of zeros."""
    if not rows or not columns:
        return np.zeros((*filters.shape[:2], max(1, len(rows)), max(1, len(columns))), filters.dtype)
    return filters[:, :, list(rows)][:, :, :, list(columns)]
