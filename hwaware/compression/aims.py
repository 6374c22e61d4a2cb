"""Limits as a search takes them, and the refusal of those that nothing keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from hwaware.compression.budget import Budget, Costs, conflicting, unreachable, within
from hwaware.compression.combined.solver import OutOfReach
from hwaware.compression.meters import LATENCY
from hwaware.costs.table import CostTable
from hwaware.errors import BudgetError

# Share of latency that is left free, by how far the table was off when it was checked; where nothing is known of that.
MOST_ROOM, USUAL_ROOM = 0.02, 0.01


def aimed(limits: Mapping[str, float], least: Costs, table: CostTable) -> dict[str, float]:
    """Limits with room for what the table's predictions are usually off, for measured latency to be within budget.

    A limit that leaves no room above the `least` costs stays.
    """
    off = (table.manifest.validation or {}).get("rmspe")
    room = min(off, MOST_ROOM) if isinstance(off, float) and off >= 0 else USUAL_ROOM
    lower = limits.get(LATENCY, math.inf) / (1 + room)
    return {**limits, LATENCY: lower} if least.latency <= lower < math.inf else dict(limits)


def refused(error: OutOfReach, budget: Budget, whole: Costs, limits: Mapping[str, float]) -> BudgetError:
    """In percent of what went in, as budgets are asked for."""
    reach = replace(whole, **{name: error.alone.get(name, getattr(whole, name)) for name in limits})
    if within(reach, limits) or len(error.alone) < len(limits):
        return conflicting(budget, whole, error.together)
    return unreachable(budget, whole, reach, "the narrowest widths and the cheapest precisions the table has give")
