"""Which widths of a group are worth considering: the tops of its cost's steps."""

from __future__ import annotations

from hwaware.compression.meters import LATENCY
from hwaware.compression.outline import Widths
from hwaware.compression.width_costs import WidthCosts
from hwaware.costs.steps import TOLERANCE
from hwaware.errors import MissingCostError

MOST = 12  # candidates of a group; beyond that every few tops are left out


def candidates(costs: WidthCosts, name: str, widths: Widths) -> list[int]:
    """Widths of a group up to its `widths`, rising: tops of steps of latency, the narrowest, 0 where it may vanish."""
    most, floor = widths[name], min(costs.floor[name], widths[name])
    if most == 0:
        return [0]
    inside = [width for width in range(floor + 1, most) if _is_top(costs, name, widths, width)]
    room = MOST - 2
    if len(inside) > room:
        inside = [inside[round(index * (len(inside) - 1) / (room - 1))] for index in range(room)]
    gone = [0] if costs.can_vanish(name) else []
    return [*gone, *dict.fromkeys([floor, *inside, most])]


def _is_top(costs: WidthCosts, name: str, widths: Widths, width: int) -> bool:
    outline = costs.outline(widths)
    here, wider = {**widths, name: width}, {**widths, name: width + 1}
    for op in outline.ops:
        if name in op.units:
            try:
                low, high = (costs.op_cost(LATENCY, outline, op, each) for each in (here, wider))
            except MissingCostError:
                return False
            if high - low > TOLERANCE * high:
                return True
    return False
