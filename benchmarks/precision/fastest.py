"""A model in the precisions that make it fastest on this machine: by its table, then as measured."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hwaware.api import measuring
from hwaware.compression.budget import Budget
from hwaware.compression.compress import PRECISION, compress
from hwaware.compression.plan import Plan
from hwaware.compression.search import Options
from hwaware.compression.task import Task
from hwaware.costs.model import CostModel
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device
from hwaware.errors import BudgetError
from hwaware.graph.model import GraphModel

# The first budget only has to be below what goes in, for there to be a front of all others.
_BEGIN = "99%"
_OVER = 1 + 1e-6  # for rounding of the budget's text


@dataclass(frozen=True)
class Fastest:
    """The model, its layers by precision, and in `note` what is unusual, such as that it is left in float32."""

    model: GraphModel
    layers: dict[str, int]
    predicted_share: float
    note: str

    @property
    def left(self) -> bool:
        """Whether no layer is in another precision than float32."""
        return set(self.layers) <= {"float32"}


def fastest(task: Task, whole: GraphModel, table: CostTable, device: Device) -> Fastest:
    """`whole` of `task` at the fast end of the front of precisions that `table` knows, never slower as measured."""
    source, options = CostModel(table, beyond=False), Options(sensitivity="outputs")
    task = replace(task, model=whole)
    try:
        first = compress(task, source, Budget(latency=_BEGIN), method=PRECISION, options=options, epochs=1)
        if not first.plan.front:
            return Fastest(whole, {}, 1.0, first.plan.note)
        least = min(point.latency_ms for point in first.plan.front)
        budget = Budget(latency=f"{_OVER * least:.9f}ms")
        measure = measuring(device, table)
        found = compress(task, source, budget, method=PRECISION, options=options, epochs=1, measure=measure)
    except BudgetError as error:
        return Fastest(whole, {}, 1.0, f"left in float32: {error}")
    share = found.cost.latency_ms / found.baseline_cost.latency_ms
    return Fastest(found.model, counts(found.plan), share, found.plan.note)


def counts(plan: Plan) -> dict[str, int]:
    """Layers by precision; nothing for a model that is as it was."""
    found: dict[str, int] = {}
    for layer in plan.precisions:
        found[layer.precision] = found.get(layer.precision, 0) + 1
    return found
