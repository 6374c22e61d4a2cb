"""What one channel of a group is worth: secants of a cost at given widths.

A staircase's one-channel difference is mostly 0 and sometimes a whole step, so a secant goes to the next width that
is really cheaper. A width counts wherever it enters an operation: one group on both sides of a convolution gives the
true 2n - 1, a depthwise convolution its C once (where the reference implementation of MorphNet gives 2n and 2C).
"""

from __future__ import annotations

from hwaware.compression.meters import LATENCY, MEMORY
from hwaware.compression.outline import Outline, OutlineOp, Widths
from hwaware.compression.width_costs import WidthCosts
from hwaware.costs.steps import TOLERANCE
from hwaware.errors import MissingCostError


def slopes(costs: WidthCosts, widths: Widths, cost: str = LATENCY) -> dict[str, dict[str, float]]:
    """For each group the `cost` of a channel, by operation; for a cost that is a sum over operations."""
    outline = costs.outline(widths)
    found: dict[str, dict[str, float]] = {name: {} for name in costs.full}
    for op in outline.ops:
        for name in op.units:
            found[name][op.op.name] = _secant(costs, outline, op, name, widths, cost)
    return found


def channel_costs(costs: WidthCosts, widths: Widths, cost: str) -> dict[str, float]:
    """For each group the `cost` of a channel, any of METERS; 0 for a group that can lose none."""
    able = [name for name, width in widths.items() if width > 0 and costs.can_shrink(name, width)]
    if cost == MEMORY:
        return {name: _plan_secant(costs, name, widths) if name in able else 0.0 for name in widths}
    by_op = slopes(costs, widths, cost)
    return {name: sum(by_op[name].values()) if name in able else 0.0 for name in widths}


def _secant(costs: WidthCosts, outline: Outline, op: OutlineOp, group: str, widths: Widths, cost: str) -> float:
    """To the next width at which `op` is cheaper, for what is measured by more than its noise."""
    here = cheapest = costs.op_cost(cost, outline, op, widths)
    tolerance = TOLERANCE if cost == LATENCY else 0.0
    width = widths[group]
    for lower in range(width - 1, 0, -1):
        try:
            cheapest = min(cheapest, costs.op_cost(cost, outline, op, {**widths, group: lower}))
        except MissingCostError:
            break
        if here - cheapest > tolerance * here:
            return (here - cheapest) / (width - lower)
    # What is measured is never cheaper than noise down to one channel; a count that stays does not depend on them.
    return here / width if cost == LATENCY else 0.0


def _plan_secant(costs: WidthCosts, group: str, widths: Widths) -> float:
    """Bytes of peak memory a channel: the secant to half the group's width, as a plan moves in jumps."""
    width = widths[group]
    half = max(1, width // 2) if width > 1 else 0
    if half == 0 and not costs.can_vanish(group):
        return 0.0
    less = {**widths, group: half}
    return max(0.0, costs.cost(MEMORY, widths) - costs.cost(MEMORY, less)) / (width - half)


def next_cheaper(costs: WidthCosts, name: str, widths: Widths) -> tuple[int, float] | None:
    """The next narrower width of a group that is really cheaper, and the milliseconds it would save."""
    outline = costs.outline(widths)
    affected = sum(costs.op_latency(outline, op, widths) for op in outline.ops if name in op.units)
    here = costs.latency(widths)
    for lower in range(widths[name] - 1, costs.floor[name] - 1, -1):
        narrower = {**widths, name: lower}
        if costs.reaches(narrower) and here - costs.latency(narrower) > TOLERANCE * affected:
            return lower, here - costs.latency(narrower)
    return None
