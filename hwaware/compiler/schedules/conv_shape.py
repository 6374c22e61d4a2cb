"""A convolution's extents as register tiles see them, and the order of its packed weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwaware.compiler.schedules.tile import ChannelBlock
from hwaware.compiler.schedules.window import Axis
from hwaware.graph.workload import Workload

_FEW = 4


@dataclass(frozen=True)
class ConvShape:
    """A convolution as the tile sees it; `out_*` map its rows and columns into the output image.

    `cg` and `kg` are input and output channels of a group. Output position (i, j) of the loops goes to row
    i·out_stride[0] + out_start[0] of the image, likewise for columns: a transposed convolution is several of these.
    """

    batch: int
    groups: int
    cg: int
    kg: int
    rows: Axis
    columns: Axis
    out_size: tuple[int, int]
    out_stride: tuple[int, int] = (1, 1)
    out_start: tuple[int, int] = (0, 0)

    @property
    def weight_elements(self) -> int:
        """Unpadded weights."""
        return self.groups * self.kg * self.steps

    @property
    def positions(self) -> int:
        """Output positions."""
        return self.batch * self.rows.out * self.columns.out

    def is_few_rows(self) -> bool:
        """Whether it is a 1×1 convolution of so few positions in a row that the sums of all stay in registers."""
        rows, columns = self.rows, self.columns
        return self.batch * rows.out == 1 and columns.out <= _FEW and (rows.taps, columns.taps) == (1, 1)

    @property
    def steps(self) -> int:
        """Reduction steps of one output."""
        return self.cg * self.rows.taps * self.columns.taps


def conv_shape(work: Workload) -> ConvShape:
    """Extents of a ``conv2d`` workload: 1×1 without padding is one long row."""
    n, h, w, c = work.inputs[0].shape
    _, out_h, out_w, k = work.output.shape
    (r, s), stride, pad, dilation = (work.ints(x) for x in ("kernel", "stride", "padding", "dilation"))
    groups = work.attr("groups")
    assert isinstance(groups, int)
    cg, kg = c // groups, k // groups
    if (r, s) == (1, 1) and stride == (1, 1) and pad == (0, 0):
        length = n * h * w
        return ConvShape(1, groups, cg, kg, Axis(1, 1, 1), Axis(length, length, 1), (1, length))
    rows = Axis(h, out_h, r, stride[0], pad[0], dilation[0])
    columns = Axis(w, out_w, s, stride[1], pad[1], dilation[1])
    return ConvShape(n, groups, cg, kg, rows, columns, (out_h, out_w))


def dense_shape(work: Workload) -> ConvShape:
    """Extents of a ``dense`` workload: its rows are the positions of a 1×1 convolution."""
    rows, features = work.inputs[0].shape
    return ConvShape(1, 1, features, work.output.shape[-1], Axis(1, 1, 1), Axis(rows, rows, 1), (1, rows))


def layer_shape(work: Workload) -> ConvShape:
    """Extents of a ``conv2d`` or ``dense`` workload."""
    return dense_shape(work) if work.kind == "dense" else conv_shape(work)


def packed_size(shape: ConvShape, blocks: tuple[ChannelBlock, ...]) -> int:
    """Elements of the packed weights."""
    return shape.groups * shape.steps * sum(block.count * block.padded for block in blocks)


def pack(weight: np.ndarray, shape: ConvShape, blocks: tuple[ChannelBlock, ...]) -> np.ndarray:
    """(K, C/g, R, S) weights as ``[group][block][r][s][c][channel of the block]``, padding zero."""
    weight = weight.reshape(shape.groups, shape.kg, shape.cg, shape.rows.taps, shape.columns.taps)
    parts = []
    for group in range(shape.groups):
        for block in blocks:
            for index in range(block.count):
                start = block.start + index * block.valid
                part = weight[group, start : start + block.valid].transpose(2, 3, 1, 0)
                missing = block.padded - block.valid
                parts.append(np.pad(part, ((0, 0), (0, 0), (0, 0), (0, missing))).reshape(-1))
    return np.concatenate(parts)
