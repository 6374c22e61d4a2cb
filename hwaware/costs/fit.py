"""What a table's cells say of operations that were not measured.

For each schedule two parts, both fitted to its cells: how long each thing takes that a kernel has to do, a sum over
`compiler.effort`'s counts with coefficients that are at least 0, so that more work is never cheaper; and the
`residual`, which follows what was measured nearby. The first alone answers beyond what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hwaware.compiler.choice import Choice
from hwaware.compiler.effort import NAMES, TYPICAL
from hwaware.costs.residual import Place, Residual, Spread
from hwaware.costs.row import ALONE, GRAPH, OK, THROTTLED, CellRow

Array = NDArray[np.float64]
# Of the logarithm: what a cell measured under bad conditions may be off.
_UNSTABLE = 0.05
# Costs may cross by this much where one kernel does all that another does and more: noise of measuring.
_TOLERANCE = 0.02
# Of the logarithm: what counts may be off where too few anchors were measured to tell.
_UNKNOWN, _FEW_ANCHORS = 0.3, 3
# How strongly coefficients are drawn to the typical ones, as squared relative errors.
_DRAWN = 0.002
# Rounds of weighting down cells that lie far off the rest, and beyond how many deviations they do.
_ROUNDS, _FAR = 3, 2.5


@dataclass(frozen=True)
class Estimate:
    """Nanoseconds, and the standard deviation of their logarithm."""

    ns: float
    spread: float


_LEVELS, _FLOATS = "u8", "f32"


def anchor_of(family: str) -> str:
    """A family's name without the steps after its anchor, and whether the last of them makes levels.

    What writes floats where its like writes levels does the same work; the bytes and steps are counted (`effort`).
    """
    anchor = family.rsplit("|", 1)[0]
    head, arrow, tail = anchor.partition("->")
    shape, colon, attributes = tail.partition(":")
    return (
        head + arrow + shape + colon + attributes.replace(_LEVELS, _FLOATS, 1)
        if attributes.startswith(_LEVELS)
        else anchor
    )


def place_of(family: str, coordinates: tuple[int, ...], lanes: int, state: str = GRAPH) -> Place:
    """Where an operation of a family stands among the measured ones."""
    return Place(anchor_of(family), family, coordinates, lanes, state)


class ScheduleFit:
    """The cells of one schedule."""

    def __init__(self, rows: Sequence[CellRow], lanes: int) -> None:
        self._rows = rows
        self._counts = np.array([row.counts for row in rows])
        self._times = np.array([row.p50_ns for row in rows], dtype=float)
        self.coefficients = coefficients(self._counts, self._times)
        self.places = [place_of(row.family, row.coordinates, lanes, row.state) for row in rows]
        self.logs = np.log(self._times / self._counted(self._counts))
        self.errors = np.array([_error(row) for row in rows])
        self._residual = Residual(self.places, self.logs, self.errors, Spread())
        graph = np.array([row.state == GRAPH for row in rows])
        # Bounds hold between operations timed in the same state.
        self._bounding = graph if graph.any() else ~graph
        self._families = np.array([row.family for row in rows])
        self._unseen: float | None = None

    def _counted(self, counts: Array) -> Array:
        return np.asarray(np.maximum(counts @ self.coefficients, 1e-3))

    def at(self, place: Place, counts: Array, *, inside: bool = True) -> Estimate:
        """The cost of what does `counts` at `place`, `inside` what was measured of its anchor or beyond."""
        mean, spread = self._residual.at(place)
        ns = float(self._counted(counts)) * float(np.exp(mean))
        low, high = self._bounds(place, counts)
        return Estimate(min(max(ns, low), high), spread if inside else float(np.hypot(spread, self._beyond())))

    def _beyond(self) -> float:
        """How far the counts alone are off an anchor that is left out of their fitting."""
        if self._unseen is None:
            anchors = np.array([place.anchor for place in self.places])
            errors = [_UNKNOWN] if len(set(anchors)) < _FEW_ANCHORS else []
            for anchor in set(anchors) if not errors else ():
                rest = anchors != anchor
                found = self._counts[~rest] @ coefficients(self._counts[rest], self._times[rest])
                errors += list(np.log(self._times[~rest] / np.maximum(found, 1e-3)))
            self._unseen = float(np.sqrt(np.mean(np.square(errors))))
        return self._unseen

    def _bounds(self, place: Place, counts: Array) -> tuple[float, float]:
        """What was measured of the family: at least the dearest that does no more, at most the cheapest that does."""
        alike = self._bounding & (self._families == place.family)
        less = alike & (self._counts <= counts).all(1)
        more = alike & (self._counts >= counts).all(1)
        low = self._times[less].max(initial=0.0) / (1 + _TOLERANCE)
        high = self._times[more].min(initial=np.inf) * (1 + _TOLERANCE)
        return (low, high) if low <= high else (0.0, np.inf)


class Fit:
    """All schedules of a table whose target has vectors of `lanes`."""

    def __init__(self, rows: Iterable[CellRow], lanes: int) -> None:
        self._lanes = lanes
        self._rows: dict[str, list[CellRow]] = {}
        self._fits: dict[str, ScheduleFit] = {}
        for row in rows:
            if row.usable and row.status != THROTTLED and row.schedule and len(row.counts) == len(NAMES):
                self._rows.setdefault(Choice.parse(row.schedule).schedule, []).append(row)

    def schedule(self, name: str) -> ScheduleFit | None:
        """The fit of one schedule; None where the table has no cell of it."""
        if name not in self._fits and name in self._rows:
            self._fits[name] = ScheduleFit(self._rows[name], self._lanes)
        return self._fits.get(name)


def coefficients(counts: Array, times: Array) -> Array:
    """Nanoseconds a count: least squares of relative errors, all at least 0, outliers weighted down (Huber).

    What the cells do not tell apart is drawn to the typical proportions.
    """
    typical = np.array(TYPICAL)
    typical = typical * float(np.median(times / (counts @ typical)))
    drawn = math.sqrt(_DRAWN) * np.eye(len(typical))
    weights = np.ones(len(times))
    found = typical
    for _ in range(_ROUNDS):
        # In units of the typical ones, so that all are drawn alike.
        shares = counts * typical / times[:, None]
        system = np.vstack([shares * weights[:, None], drawn])
        found = typical * nnls(system, np.concatenate([weights, drawn.diagonal()]))[0]
        errors = np.abs(counts @ found / times - 1)
        spread = 1.5 * float(np.median(errors)) + 1e-6
        weights = np.sqrt(1 / np.maximum(1.0, errors / (_FAR * spread)))
    return np.asarray(found)


def _error(row: CellRow) -> float:
    """Standard deviation of the logarithm of a cell's median."""
    assert row.p50_ns is not None
    assert row.ci95_low_ns is not None
    assert row.ci95_high_ns is not None
    assert row.p10_ns is not None
    measured = (row.ci95_high_ns - row.ci95_low_ns) / (2 * 1.96 * row.p50_ns)
    # An operation alone was measured in one spell: if that was uneven, its median says how uneven more than how fast.
    uneven = math.log(row.p50_ns / row.p10_ns) if row.state == ALONE else 0.0
    return math.hypot(measured, uneven, 0.0 if row.status == OK else _UNSTABLE)
