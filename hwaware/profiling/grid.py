"""Which widths of a channel group, or of one axis of an operation, are measured.

Costs rise with output channels in steps of the vector width and nearly straight with input channels, so a grid is a
handful of step tops from an eighth of the width up to all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from hwaware.costs.steps import padded, step_below

# Shares of the full width, most telling first: a grid of n points takes the first n.
_SHARES = (1.0, 0.125, 0.5, 0.25, 0.75, 0.375)
MOST_POINTS = len(_SHARES)


def widths(size: int, lanes: int, points: int = 5) -> tuple[int, ...]:
    """Ascending widths of an axis of `size` channels: step tops, `size` and one of at most an eighth among them."""
    chosen = {_step(size, share, lanes) for share in _SHARES[: max(2, points)]}
    return tuple(sorted(chosen))


def _step(size: int, share: float, lanes: int) -> int:
    width = max(1, round(size * share))
    if width >= size:
        return size
    if share <= _SHARES[1]:
        # The low end must not come out above the share: nothing is extrapolated below it.
        low = max(1, int(size * share))
        return low if padded(low, lanes) == low else max(1, step_below(low, lanes))
    return min(size, padded(width, lanes))


def level(points: Sequence[int], share: float) -> int:
    """The width of a grid that stands at `share` (0 to 1) of its length; grids of unequal length stay aligned."""
    return points[round(share * (len(points) - 1))]
