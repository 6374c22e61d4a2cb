"""MorphNet's regulariser: G = Σ over operations of D_out·Σ r_out + D_in·Σ r_in.

Gordon et al. 2018, arXiv:1711.06798, with D the slopes of the operation's cost at the widths that are alive, held
constant for the gradient. The slopes of all operations a group takes part in add up, so G = Σ over groups of D·Σ r.
The cost is any of METERS, or a weighted sum of several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from hwaware.compression.meters import METERS
from hwaware.compression.outline import Widths
from hwaware.compression.slopes import channel_costs
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import BudgetError

EXAMPLE = "latency=1,size=0.2"


@dataclass(frozen=True)
class Regulariser:
    """What a channel costs: a sum of meters, each relative to the whole model's, times its weight.

    Without `weights` the costs count that are above their limit, each relative to it.
    """

    weights: Mapping[str, float]

    @classmethod
    def parse(cls, text: str) -> Regulariser:
        """From ``latency``, ``flops``, ``latency=1,size=0.2``. Raises BudgetError."""
        weights: dict[str, float] = {}
        for part in filter(str.strip, text.split(",")):
            name, equals, amount = (piece.strip() for piece in part.partition("="))
            try:
                weight = float(amount) if equals else 1.0
            except ValueError:
                weight = -1.0
            if name not in METERS or name in weights or not 0 < weight < 1e6:
                raise BudgetError(
                    f"regulariser {part.strip()!r}: write {', '.join(METERS)}, each once, with a weight above 0, "
                    f"like {EXAMPLE}"
                )
            weights[name] = weight
        return cls(weights)

    def slopes(self, costs: WidthCosts, widths: Widths, limits: Mapping[str, float]) -> dict[str, float]:
        """What a channel of each group is worth at `widths`; 0 for a group that can lose none."""
        if self.weights:
            shares = {name: weight / _whole(costs, name) for name, weight in self.weights.items()}
        else:
            shares = {name: 1 / limit for name, limit in limits.items() if costs.cost(name, widths) > limit}
        total = dict.fromkeys(widths, 0.0)
        for cost, share in shares.items():
            for name, slope in channel_costs(costs, widths, cost).items():
                total[name] += share * slope
        return total


BY_LIMITS = Regulariser({})


def _whole(costs: WidthCosts, name: str) -> float:
    return costs.cost(name, costs.full) or 1.0


def penalty(values: Mapping[str, Tensor], slopes: Mapping[str, float]) -> Tensor:
    """G, a scalar: r of every channel of every group times the group's slope."""
    terms = [slopes[name] * value.sum() for name, value in values.items()]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total
