"""CostModel: what any operation costs, from the cells of a table, and how that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from hwaware.costs.family import Coordinates, family, resizable, with_coordinates
from hwaware.costs.interpolate import Point, Weights, weights_at
from hwaware.costs.row import CellRow
from hwaware.costs.steps import effective
from hwaware.costs.table import CostTable
from hwaware.errors import MissingCostError
from hwaware.graph.lower.program import Program
from hwaware.graph.workload import Workload

MEASURED, INTERPOLATED = "measured", "interpolated"
# Half-width of the interval midway between two measured points, as a share of their difference: a cost that rises
# from one to the other, anyhow, is that far off a straight line at most half the way (0.5); usually much less.
_BEND = 0.25
# What only moves elements comes in odd shapes when networks are sliced unevenly.
_MOVES = ("copy", "map")


@dataclass(frozen=True)
class Cost:
    """Of one operation, in milliseconds; `interval_ms` is (low, high), `provenance` measured or interpolated."""

    latency_ms: float
    interval_ms: tuple[float, float]
    provenance: str
    weight_bytes: int | None = None


@dataclass(frozen=True)
class OpCost:
    """One operation of a predicted model."""

    name: str
    key: str
    latency_ms: float
    provenance: str


@dataclass(frozen=True)
class Prediction:
    """A model's latency and memory; `missing` are keys without a cost, and then `latency_ms` covers the rest only."""

    latency_ms: float
    interval_ms: tuple[float, float]
    memory_bytes: Mapping[str, int]
    ops: tuple[OpCost, ...]
    missing: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The JSON document of ``hwaware predict --json``."""
        return asdict(self) | {"interval_ms": list(self.interval_ms), "missing": list(self.missing)}


@dataclass(frozen=True)
class _Place:
    """A measured point of a family, in milliseconds."""

    ms: float
    low: float
    high: float
    coordinates: Coordinates


@dataclass
class CostModel:
    """Answers from one table. Costs are cached: a workload is looked up once."""

    table: CostTable
    _cells: dict[str, CellRow] = field(init=False, repr=False)
    _families: dict[str, list[CellRow]] = field(init=False, repr=False)
    _points: dict[str, dict[Point, _Place]] = field(init=False, repr=False, default_factory=dict)
    _costs: dict[str, Cost] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._cells = {row.key: row for row in self.table.rows}
        self._families = {}
        for row in self.table.rows:
            if row.usable:
                self._families.setdefault(row.family, []).append(row)

    def cost(self, workload: Workload) -> Cost:
        """The cost of `workload`. Raises MissingCostError where the table neither has nor surrounds it."""
        key = workload.key
        if key not in self._costs:
            self._costs[key] = self._cost(workload, key)
        return self._costs[key]

    def _cost(self, workload: Workload, key: str) -> Cost:
        row = self._cells.get(key)
        if row is not None and row.usable:
            place = _place(row)
            return Cost(place.ms, (place.low, place.high), MEASURED, row.weight_bytes)
        member = family(workload)
        points = self.points(workload)
        weights = weights_at(points, self._effective(workload, member.coordinates))
        if weights is None:
            bound = _bound(points, member.coordinates) if workload.kind in _MOVES else None
            if bound is None:
                raise MissingCostError(self._missing(workload, row))
            return bound
        return _mix(points, weights)

    def points(self, workload: Workload) -> Mapping[Point, _Place]:
        """The measured points of the workload's family over its padded widths; the widest of a step stands for it."""
        member = family(workload)
        if member.key not in self._points:
            found: dict[Point, _Place] = {}
            rows = [*self._unit(workload), *self._families.get(member.key, ())]
            for row in sorted(rows, key=lambda item: item.coordinates):
                found[self._effective(workload, row.coordinates)] = _place(row)
            self._points[member.key] = found
        return self._points[member.key]

    def _unit(self, workload: Workload) -> list[CellRow]:
        """One channel is where families meet: a depthwise convolution of it is a plain one, by its key."""
        width = len(family(workload).coordinates)
        if width != 1 or not resizable(workload):
            return []
        row = self._cells.get(with_coordinates(workload, (1,)).key)
        if row is None or not row.usable or len(row.coordinates) == width:
            return []
        return [CellRow(**{**vars(row), "coordinates": (1,)})]

    def _effective(self, workload: Workload, coordinates: Coordinates) -> Point:
        return tuple(map(float, effective(workload, coordinates, self.table.lanes)))

    def predict(self, program: Program, memory_bytes: Mapping[str, int], *, partial: bool = False) -> Prediction:
        """Latency of `program`: the sum over its operations, with the table's overhead.

        `memory_bytes` is what the compiler's memory plan says. Raises MissingCostError for the first operation
        without a cost; with `partial` those are listed in `missing` instead.
        """
        ops, missing = [], []
        total = low = high = self.table.manifest.overhead_ns / 1e6
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
            low += cost.interval_ms[0]
            high += cost.interval_ms[1]
        return Prediction(total, (low, high), dict(memory_bytes), tuple(ops), tuple(dict.fromkeys(missing)))

    def _missing(self, workload: Workload, row: CellRow | None) -> str:
        manifest = self.table.manifest
        command = f"`hwaware profile MODEL --device {manifest.device} --out TABLE --resume` with this MODEL adds it"
        start = f"the cost table of {manifest.device} has no cost for {workload.key}"
        if row is not None:
            return f"{start}: it failed when it was measured ({row.reason}); {command}"
        member = family(workload)
        rows = self._families.get(member.key)
        if not rows:
            return f"{start}: nothing of its family ({member.key}) was measured; {command}"
        nearest = min(rows, key=lambda item: _distance(item.coordinates, member.coordinates))
        return (
            f"{start}: widths {member.coordinates} lie outside what was measured of {member.key}, "
            f"nearest are {nearest.coordinates}; {command}"
        )


def _distance(a: Coordinates, b: Coordinates) -> float:
    return sum(abs(x - y) / max(x, y, 1) for x, y in zip(a, b, strict=True))


def _place(row: CellRow) -> _Place:
    assert row.p50_ns is not None
    assert row.ci95_low_ns is not None
    assert row.ci95_high_ns is not None
    return _Place(row.p50_ns / 1e6, row.ci95_low_ns / 1e6, row.ci95_high_ns / 1e6, row.coordinates)


def _bound(points: Mapping[Point, _Place], coordinates: Coordinates) -> Cost | None:
    """The cheapest measured move that is no smaller in any direction: an upper bound, nearly tight for small ones."""
    larger = [
        place
        for place in points.values()
        if all(there >= here for there, here in zip(place.coordinates, coordinates, strict=True))
    ]
    if not larger:
        return None
    least = min(larger, key=lambda place: place.ms)
    return Cost(least.ms, (0.0, least.high), INTERPOLATED)


def _mix(points: Mapping[Point, _Place], weights: Weights) -> Cost:
    places = [(points[point], weight) for point, weight in weights.items()]
    value = sum(place.ms * weight for place, weight in places)
    low = sum(place.low * weight for place, weight in places)
    high = sum(place.high * weight for place, weight in places)
    spread = max(place.ms for place, _ in places) - min(place.ms for place, _ in places)
    doubt = _BEND * spread * 2 * (1 - max(weight for _, weight in places))
    return Cost(value, (max(0.0, low - doubt), high + doubt), INTERPOLATED)
