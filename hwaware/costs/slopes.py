"""What a channel is worth: secant slopes and step tops of the measured staircase.

A difference of one channel is mostly 0 and sometimes a whole step, so the slope is taken down to the next width that
is really cheaper; where no measured one is, down to no channels at all. It is never 0.
"""

from __future__ import annotations

from hwaware.costs.family import Coordinates, family, resizable, with_coordinates
from hwaware.costs.model import CostModel
from hwaware.costs.steps import is_stepped, step_below
from hwaware.errors import MissingCostError
from hwaware.graph.workload import Workload

# A smaller difference is noise of measuring, not a step.
TOLERANCE = 0.02


def slope(costs: CostModel, workload: Workload, axis: int) -> float:
    """Milliseconds a channel along `axis` of the workload's coordinates, from its width to the next cheaper one.

    Raises MissingCostError where the workload itself has no cost, ValueError where widths do not determine it.
    """
    here = costs.cost(workload).latency_ms
    width = family(workload).coordinates[axis]
    cheapest = here
    for lower in _lower_widths(costs, workload, axis):
        found = _cost_at(costs, workload, axis, lower)
        if found is None:
            continue
        # Lower envelope: a narrower operation that was measured dearer saves nothing yet.
        cheapest = min(cheapest, found)
        if here - cheapest > TOLERANCE * here:
            return (here - cheapest) / (width - lower)
    return here / width


def step_top(costs: CostModel, workload: Workload, axis: int, width: int) -> int:
    """The largest width along `axis` that costs no more than `width` does, within the tolerance of measuring."""
    base = _cost_at(costs, workload, axis, width)
    if base is None:
        return width
    top = width
    for wider in range(width + 1, _widest(costs, workload, axis) + 1):
        found = _cost_at(costs, workload, axis, wider)
        if found is None or found > base * (1 + TOLERANCE / 4):
            break
        top = wider
    return top


def _lower_widths(costs: CostModel, workload: Workload, axis: int) -> list[int]:
    """The top of the next lower step and all lower measured widths, highest first."""
    width = family(workload).coordinates[axis]
    below = step_below(width, costs.table.lanes) if is_stepped(workload, axis) else width - 1
    measured = {place.coordinates[axis] for place in costs.points(workload).values()}
    return sorted({other for other in (below, *measured) if 1 <= other < width}, reverse=True)


def _widest(costs: CostModel, workload: Workload, axis: int) -> int:
    return max((place.coordinates[axis] for place in costs.points(workload).values()), default=0)


def _at(coordinates: Coordinates, axis: int, width: int) -> Coordinates:
    return (*coordinates[:axis], width, *coordinates[axis + 1 :])


def _cost_at(costs: CostModel, workload: Workload, axis: int, width: int) -> float | None:
    if not resizable(workload):
        raise ValueError(f"the widths of {workload.kind} do not determine it")
    try:
        other = with_coordinates(workload, _at(family(workload).coordinates, axis, width))
        return costs.cost(other).latency_ms
    except (MissingCostError, ValueError):
        return None
