"""Which widths of a channel group, or of one axis of an operation, are measured whatever a model's variants need.

The ends of what compression asks for: all channels, and the top of a step at no more than an eighth of them. Between
them costs follow from what a kernel has to do, and whole variants are measured where that is not enough.
"""

from __future__ import annotations

from hwaware.costs.steps import padded, step_below

_LOW = 0.125


def ends(size: int, lanes: int) -> tuple[int, ...]:
    """The lowest width of `size` channels and `size` itself, ascending."""
    low = max(1, int(size * _LOW))
    # Not above the share: nothing narrower is measured.
    top = low if padded(low, lanes) == low else max(1, step_below(low, lanes))
    return tuple(sorted({top, size}))


def middle(size: int, lanes: int) -> int:
    """The top of the step at half the width."""
    return min(size, padded(max(1, round(size / 2)), lanes))
