"""From the widths that survived to the widest ones within the budget.

MorphNet's expansion: the largest ω for which ω times the surviving widths, rounded group by group, is within the
limits (Gordon et al. 2018, arXiv:1711.06798; below 1 where training left more than that), then whatever of the budget
is left goes to single groups, step by step of the measured staircase, the most importance a millisecond first. Channels
that cost nothing are always taken. A group grows beyond the width it came with where that was asked for and wider ones
were measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

from hwaware.compression.outline import Widths
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import MissingCostError, ModelError


def multiplied(costs: WidthCosts, survivors: Widths, omega: float) -> dict[str, int]:
    """ω times `survivors`, rounded per group, never beyond what the table reaches; 0 stays 0."""
    return {
        name: min(costs.ceiling[name], max(costs.floor[name], math.floor(omega * width + 0.5))) if width else 0
        for name, width in survivors.items()
    }


def expand(costs: WidthCosts, survivors: Widths, limits: Mapping[str, float]) -> tuple[float, dict[str, int]]:
    """The largest ω for which the multiplied `survivors` are within `limits`; ω and the widths.

    Below 1 where the survivors are not within them. Where no multiple is, ω is 0 and all are as narrow as the table
    reaches.
    """
    wider = costs.meets(multiplied(costs, survivors, 1.0), limits)
    # Widths change only where ω times a width crosses a half.
    edges = sorted(
        {
            (count + 0.5) / width
            for name, width in survivors.items()
            if width
            for count in (range(width, costs.ceiling[name]) if wider else range(costs.floor[name], width))
        }
    )
    low, high = -1, len(edges)
    while high - low > 1:
        middle = (low + high) // 2
        if costs.meets(multiplied(costs, survivors, _just(edges[middle])), limits):
            low = middle
        else:
            high = middle
    omega = _just(edges[low]) if low >= 0 else 1.0 if wider else 0.0
    return omega, multiplied(costs, survivors, omega)


def _just(edge: float) -> float:
    """Barely beyond an edge, where rounding in floats cannot fall short of it."""
    return edge * (1 + 1e-12)


def fill(
    costs: WidthCosts, widths: Widths, limits: Mapping[str, float], importance: Mapping[str, list[float]]
) -> dict[str, int]:
    """`widths` with the rest of the budget spent; no group can take its next step after that.

    `importance` lists for each group its channels' importance, the highest first; channels it has not yet are worth
    half the last.
    """
    filled = dict(widths)
    while True:
        moves = list(_moves(costs, filled, limits, importance))
        if not moves:
            return filled
        _, name, width = max(moves)
        filled[name] = width


def _moves(
    costs: WidthCosts, widths: Widths, limits: Mapping[str, float], importance: Mapping[str, list[float]]
) -> Iterator[tuple[float, str, int]]:
    """Steps within the limits: (importance a share of the limits, group, new width)."""
    before = {name: costs.cost(name, widths) for name in limits}
    for group, ranked in importance.items():
        width = widths[group]
        if width == 0 or width >= costs.ceiling[group]:
            continue
        top = next_step(costs, widths, group, limits)
        wider = {**widths, group: top}
        if not costs.reaches(wider) or not costs.meets(wider, limits):
            continue
        share = sum((costs.cost(name, wider) - before[name]) / limit for name, limit in limits.items())
        gain = sum(ranked[width:top]) + 0.5 * ranked[-1] * max(0, top - max(width, len(ranked)))
        yield (gain / share if share > 0 else math.inf, group, top)


def next_step(costs: WidthCosts, widths: Widths, group: str, limits: Iterable[str]) -> int:
    """The top of the next step: the widest that costs no more of what is limited than one channel more."""
    first = top = widths[group] + 1
    while top < costs.ceiling[group] and _as_cheap(costs, {**widths, group: top + 1}, {**widths, group: first}, limits):
        top += 1
    return top


def _as_cheap(costs: WidthCosts, wider: Widths, widths: Widths, limits: Iterable[str]) -> bool:
    try:
        return all(costs.cost(name, wider) <= costs.cost(name, widths) for name in limits)
    except (MissingCostError, ModelError):
        return False
