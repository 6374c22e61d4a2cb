"""Extents of a Winograd convolution and where its phases keep what they hand on."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from hwaware.compiler.kernel import KernelBuilder, ceil_div
from hwaware.compiler.schedules.tile import ChannelBlock, Tile
from hwaware.compiler.schedules.winograd_transforms import Filtering
from hwaware.compiler.tir import Buffer
from hwaware.graph.workload import Workload

# Floats of a cache line; strides of whole pages would put all rows that are walked together into one set.
LINE = 16


@dataclass(frozen=True)
class Layout:
    """Extents of the convolution and where the phases keep what they hand on.

    `strip` tiles are handled at once. V has rows of `row` floats, one a tile, and a plane of `v_plane` floats for each
    of n·n points; M has planes of `m_plane` floats.
    """

    workload: Workload
    method: Filtering
    strip: int
    tile: Tile
    blocks: tuple[ChannelBlock, ...]

    @property
    def image(self) -> tuple[int, ...]:
        """Batch, height, width and channels of the input."""
        return self.workload.inputs[0].shape

    @property
    def result(self) -> tuple[int, ...]:
        """Batch, height, width and channels of the output."""
        return self.workload.output.shape

    @property
    def grid(self) -> tuple[int, int, int]:
        """Images, rows and columns of tiles."""
        batch, height, width, _ = self.result
        return batch, ceil_div(height, self.method.outputs), ceil_div(width, self.method.outputs)

    @property
    def tiles(self) -> int:
        """All tiles."""
        return prod(self.grid)

    @property
    def strips(self) -> int:
        """Strips that cover them; the last may be shorter."""
        return ceil_div(self.tiles, self.strip)

    @property
    def padding(self) -> tuple[int, ...]:
        """Zeros above and below, left and right of the image."""
        return self.workload.ints("padding")

    @property
    def bordered(self) -> bool:
        """Whether any tile reaches over the image."""
        first = [-pad for pad in self.padding]
        last = [start + (count - 1) * self.method.outputs for start, count in zip(first, self.grid[1:], strict=True)]
        return min(first) < 0 or any(
            start + self.method.points > size for start, size in zip(last, self.image[1:3], strict=True)
        )

    @property
    def row(self) -> int:
        """Floats of V from one tile to the next: whole lines, and not a power of two of them."""
        channels = self.image[3]
        if channels < LINE:
            return channels
        lines = ceil_div(channels, LINE)
        return (lines + (lines % 8 == 0)) * LINE

    @property
    def points(self) -> int:
        """Matrix products, n·n."""
        return self.method.points**2

    @property
    def units(self) -> int:
        """Blocks of output channels."""
        return sum(block.count for block in self.blocks)

    @property
    def v_size(self) -> int:
        """Floats of V."""
        return self.points * self.v_plane

    @property
    def m_size(self) -> int:
        """Floats of M."""
        return self.points * self.m_plane

    @property
    def patch_size(self) -> int:
        """Floats of a padded input tile."""
        return self.points * self.row

    @property
    def v_plane(self) -> int:
        """Floats of V from one point to the next."""
        return odd_lines(self.strip * self.row)

    @property
    def m_plane(self) -> int:
        """Floats of M from one point to the next."""
        return odd_lines(self.strip * max(block.padded for block in self.blocks))


def odd_lines(floats: int) -> int:
    """At least `floats`, an odd number of cache lines: consecutive planes fall into different sets."""
    return (ceil_div(floats, LINE) | 1) * LINE


def task_floats(floats: int) -> int:
    """At least `floats`, of few sizes: eighths between powers of two of lines, and one so that it is no whole pages.

    What is rounded up is never touched, so that it must stay small beside the model for its peak to be foreseen.
    """
    lines = ceil_div(floats, LINE)
    step = 1 << max(0, (lines - 1).bit_length() - 4)
    return (ceil_div(lines, step) * step | 1) * LINE


@dataclass(frozen=True)
class Plan:
    """A layout with the memory it describes: weights, V, M and a padded input tile, the last three one a task."""

    builder: KernelBuilder
    layout: Layout
    weight: Buffer
    v: Buffer
    m: Buffer
    patch: Buffer

    @property
    def lanes(self) -> int:
        """Floats of a vector."""
        return self.builder.target.lanes
