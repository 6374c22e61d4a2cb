"""What trade-off curves say of each other: cost at equal accuracy, accuracy at equal cost. Numbers only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean

EQUAL = 0.002  # accuracies closer than this count as equal


@dataclass(frozen=True)
class Point:
    """A budget's net: mean cost and mean metric over seeds, and the metric's spread (largest minus smallest)."""

    cost: float
    metric: float
    spread: float = 0.0


def curve(runs: Sequence[tuple[float, float, float]]) -> list[Point]:
    """Points by rising cost from (share asked, cost, metric) of every seed."""
    points = []
    for share in sorted({run[0] for run in runs}):
        mine = [run for run in runs if run[0] == share]
        metrics = [metric for _, _, metric in mine]
        points.append(Point(mean(cost for _, cost, _ in mine), mean(metrics), max(metrics) - min(metrics)))
    return sorted(points, key=lambda point: point.cost)


def cost_at(points: Sequence[Point], metric: float) -> float | None:
    """The least cost at which a curve reaches `metric`, on straight lines between its points; None outside."""
    if points and points[0].metric >= metric:
        return points[0].cost
    best = points[0] if points else None
    for point in points[1:]:
        assert best is not None
        if point.metric >= metric:
            along = (metric - best.metric) / (point.metric - best.metric)
            return best.cost + along * (point.cost - best.cost)
        best = max(best, point, key=lambda one: one.metric)
    return None


def metric_at(points: Sequence[Point], cost: float) -> float | None:
    """The metric of a curve at `cost`; None outside."""
    for low, high in pairwise(points):
        if low.cost <= cost <= high.cost:
            along = (cost - low.cost) / (high.cost - low.cost) if high.cost > low.cost else 0.0
            return low.metric + along * (high.metric - low.metric)
    return None


def ratios(ours: Sequence[Point], theirs: Sequence[Point]) -> list[tuple[float, float]]:
    """(metric, their cost over ours) at each of our points, theirs being allowed to be worse by EQUAL."""
    found = []
    for point in ours:
        cost = cost_at(theirs, point.metric - EQUAL)
        if cost is not None:
            found.append((point.metric, cost / point.cost))
    return found


def gains(ours: Sequence[Point], theirs: Sequence[Point]) -> list[tuple[float, float]]:
    """(cost, our metric minus theirs) at each of our points within their range of costs."""
    found = []
    for point in ours:
        metric = metric_at(theirs, point.cost)
        if metric is not None:
            found.append((point.cost, point.metric - metric))
    return found
