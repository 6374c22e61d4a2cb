"""MorphNet's regulariser driven by measured costs.

Gordon et al. 2018, arXiv:1711.06798: G = Σ over operations of D_out·Σ r_out + D_in·Σ r_in, with D the slopes of the
operation's cost at the widths that are alive, held constant for the gradient. The slopes of all operations a group
takes part in add up, so G = Σ over groups of D·Σ r.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from hwaware.compression.gamma import Sources, channel_values
from hwaware.compression.outline import Widths
from hwaware.compression.width_costs import WidthCosts


def penalty(parameters: Mapping[str, Tensor], sources: Sources, sizes: Widths, slopes: Mapping[str, float]) -> Tensor:
    """G, a scalar in the unit of `slopes` (per channel of each group) times the unit of γ."""
    terms = [slopes[name] * channel_values(parameters, found, sizes[name]).sum() for name, found in sources.items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def group_slopes(costs: WidthCosts, widths: Widths, limits: Mapping[str, float]) -> dict[str, float]:
    """What a channel of each group is worth at `widths`, in shares of the limits it counts against.

    Costs that are within their limit don't count; a group at the narrowest width the table reaches is worth
    nothing more.
    """
    total = dict.fromkeys(widths, 0.0)
    able = [name for name, width in widths.items() if width > 0 and costs.can_shrink(name, width)]
    for cost, limit in limits.items():
        if costs.cost(cost, widths) <= limit:
            continue
        if cost == "latency":
            for name, by_op in costs.slopes(widths).items():
                total[name] += sum(by_op.values()) / limit
        else:
            for name in able:
                total[name] += costs.byte_slope(cost, name, widths) / limit
    return {name: value if name in able else 0.0 for name, value in total.items()}
