"""CostModel: what any operation costs, from the cells of a table, and how that is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hwaware.compiler.effort import effort
from hwaware.compiler.schedules import variant
from hwaware.compiler.target import Target
from hwaware.compiler.targets import restored_target
from hwaware.costs.family import Coordinates, family
from hwaware.costs.fit import Fit, ScheduleFit, anchor_of, place_of
from hwaware.costs.prediction import INTERPOLATED, MEASURED, PREDICTED, Cost, OpCost, Prediction
from hwaware.costs.row import ALONE, GRAPH, CellRow
from hwaware.costs.table import CostTable
from hwaware.errors import MissingCostError
from hwaware.graph.lower.program import Program
from hwaware.graph.workload import Workload

# Of the logarithm of a whole model's latency, where a table has not been validated: what adding up operations leaves
# out. And how many deviations a 90 % interval reaches.
_MODEL_SPREAD, _REACH = 0.03, 1.645
# Bounds of what is believed of a file, and of the logarithm of an interval.
_MOST_SPREAD, _MOST_REACH, _WIDEST = 10.0, 1000.0, 100.0


@dataclass
class CostModel:
    """Answers from one table, each workload looked up once.

    What lies beyond the measured widths, or is of no measured family, is answered from the counts alone and said to
    be `predicted`; without `beyond` it is missing.
    """

    table: CostTable
    beyond: bool = True
    _cells: dict[str, CellRow] = field(init=False, repr=False)
    _reach: dict[str, list[Coordinates]] = field(init=False, repr=False)
    _costs: dict[str, Cost] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        # Of two rows of one workload the one in the state that is asked for counts.
        by_state = sorted(self.table.rows, key=lambda row: (row.usable, row.state == GRAPH))
        self._cells = {row.key: row for row in by_state}
        self._reach = {}
        for row in self.table.rows:
            if row.usable:
                self._reach.setdefault(anchor_of(row.family), []).append(row.coordinates)

    @cached_property
    def _target(self) -> Target:
        return restored_target(self.table.manifest.target)

    @cached_property
    def _known(self) -> Mapping[str, Any]:
        return self.table.manifest.fit or {}

    @cached_property
    def _fit(self) -> Fit:
        return Fit(self.table.rows, self.table.lanes)

    @cached_property
    def _state(self) -> str:
        """How operations are asked for: as whole models have them, if the table has seen any."""
        return GRAPH if any(row.state == GRAPH for row in self.table.rows) else ALONE

    def cost(self, workload: Workload) -> Cost:
        """The cost of `workload`. Raises MissingCostError where the table cannot tell."""
        key = workload.key
        if key not in self._costs:
            self._costs[key] = self._cost(workload, key)
        return self._costs[key]

    def _cost(self, workload: Workload, key: str) -> Cost:
        row = self._cells.get(key)
        measured = row is not None and row.usable
        if row is not None and measured and (row.state == self._state or not row.counts):
            return _of_row(row)
        place = family(workload)
        choice = variant(workload, self._target, self.table.choices).choice
        fit: ScheduleFit | None = self._fit.schedule(choice.schedule)
        inside = self._inside(place.key, place.coordinates)
        if fit is None or not (inside or self.beyond):
            if row is not None and measured:
                return _of_row(row)
            raise MissingCostError(self._missing(workload, row))
        counts = effort(workload, self._target, choice, self.table.manifest.threads)
        found = fit.at(place_of(place.key, place.coordinates, self.table.lanes, self._state), counts, inside=inside)
        provenance = MEASURED if measured else INTERPOLATED if inside else PREDICTED
        return _cost(found.ns, found.spread, provenance, None if row is None else row.weight_bytes)

    def _inside(self, name: str, coordinates: Coordinates) -> bool:
        """Whether widths lie among those measured of an anchor."""
        known = self._reach.get(anchor_of(name), [])
        return bool(known) and all(
            min(widths) <= at <= max(widths) for at, widths in zip(coordinates, zip(*known, strict=True), strict=True)
        )

    def predict(self, program: Program, memory_bytes: Mapping[str, int], *, partial: bool = False) -> Prediction:
        """Latency of `program`: the sum over its operations, with the table's overhead.

        `memory_bytes` is what the compiler's memory plan says. Raises MissingCostError for the first operation
        without a cost; with `partial` those are listed in `missing` instead.
        """
        ops, missing = [], []
        total = 0.0
        doubts: dict[str, float] = {}
        for op in program.ops:
            workload = op.workload
            try:
                cost = self.cost(workload)
            except MissingCostError:
                if not partial:
                    raise
                missing.append(workload.key)
                continue
            ops.append(OpCost(op.name, workload.key, cost.latency_ms, cost.provenance))
            total += cost.latency_ms
            # What is wrong with a cost is wrong wherever it is used.
            doubts[workload.key] = doubts.get(workload.key, 0.0) + cost.latency_ms * cost.spread
        overhead = self.table.manifest.overhead_ns / 1e6
        # One that was left over in larger models says little of a small one, and nothing takes no time.
        total = max(total + overhead, total / 2)
        doubt = math.hypot(*doubts.values()) / total if doubts and total > 0 else 0.0
        whole = _number(self._known.get("model_spread"), _MODEL_SPREAD, _MOST_SPREAD)
        reach = _number(self._known.get("reach"), _REACH, _MOST_REACH) * math.hypot(whole, doubt)
        reach = math.exp(min(reach, _WIDEST))
        interval = total / reach, total * reach
        return Prediction(total, interval, dict(memory_bytes), tuple(ops), tuple(dict.fromkeys(missing)), doubt)

    def _missing(self, workload: Workload, row: CellRow | None) -> str:
        manifest = self.table.manifest
        command = f"`hwaware profile MODEL --device {manifest.device} --out TABLE --resume` with this MODEL adds it"
        start = f"the cost table of {manifest.device} has no cost for {workload.key}"
        if row is not None:
            return f"{start}: it failed when it was measured ({row.reason}); {command}"
        member = family(workload)
        known = self._reach.get(anchor_of(member.key))
        if not known:
            return f"{start}: nothing of its family ({member.key}) was measured; {command}"
        nearest = min(known, key=lambda widths: _distance(widths, member.coordinates))
        return (
            f"{start}: widths {member.coordinates} lie outside what was measured of {member.key}, "
            f"nearest are {nearest}; {command}"
        )


def _number(value: Any, default: float, most: float) -> float:
    """An untrusted number from 0 to `most`, or the default."""
    usable = isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= most
    return float(value) if usable else default


def _distance(a: Coordinates, b: Coordinates) -> float:
    return sum(abs(x - y) / max(x, y, 1) for x, y in zip(a, b, strict=True))


def _of_row(row: CellRow) -> Cost:
    assert row.p50_ns is not None
    assert row.ci95_low_ns is not None
    assert row.ci95_high_ns is not None
    interval = row.ci95_low_ns / 1e6, row.ci95_high_ns / 1e6
    spread = (interval[1] - interval[0]) * 1e6 / (2 * 1.96 * row.p50_ns)
    return Cost(row.p50_ns / 1e6, interval, MEASURED, row.weight_bytes, spread)


def _cost(ns: float, spread: float, provenance: str, weight_bytes: int | None) -> Cost:
    ms, reach = ns / 1e6, math.exp(_REACH * spread)
    return Cost(ms, (ms / reach, ms * reach), provenance, weight_bytes, spread)
