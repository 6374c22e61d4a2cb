"""The widths at which cost steps up: kernels compute output channels in vectors, the last padded to a power of two."""

from __future__ import annotations

# A smaller difference of costs is noise of measuring, not a step.
TOLERANCE = 0.02


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
