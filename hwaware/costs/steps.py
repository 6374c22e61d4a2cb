"""The widths at which cost steps up.

Kernels compute output channels in vectors; the last one is padded to the next power of two. All widths of a step
cost the same up to the stores, so costs are interpolated over padded widths, where they are nearly straight.
"""

from __future__ import annotations

from typing import cast

from hwaware.costs.family import Coordinates
from hwaware.graph.workload import Workload

# Axes of the coordinates that are output channels, by kind; the others cost by the channel.
_OUTPUT_AXES = {"conv2d": 1, "conv2d_transpose": 1, "dense": 1}


def padded(width: int, lanes: int) -> int:
    """The top of the step that `width` lies on."""
    full, rest = divmod(width, max(1, lanes))
    if not rest:
        return width
    return full * lanes + min(lanes, 1 << (rest - 1).bit_length())


def step_below(width: int, lanes: int) -> int:
    """The highest width of the next lower step; 0 below the lowest."""
    full, rest = divmod(width - 1, max(1, lanes))
    if not rest:
        return full * lanes
    return full * lanes + (1 << (rest.bit_length() - 1))


def is_stepped(workload: Workload, axis: int) -> bool:
    """Whether `axis` of the workload's coordinates counts output channels, which are padded."""
    return _OUTPUT_AXES.get(workload.kind) == axis


def effective(workload: Workload, coordinates: Coordinates, lanes: int) -> Coordinates:
    """`coordinates` with output channels padded as the kernel of `workload` pads them, each group's by itself."""
    groups = cast(int, dict(workload.attrs).get("groups", 1))
    return tuple(
        padded(width // groups, lanes) * groups if is_stepped(workload, axis) else width
        for axis, width in enumerate(coordinates)
    )
