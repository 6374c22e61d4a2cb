"""What curves of accuracy over measured latency say of searching widths and precisions together. Numbers only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import geometric_mean, mean

from benchmarks.morphnet.tradeoff import EQUAL, Point, metric_at, ratios
from benchmarks.precision.bars import Bar

# Accuracy at the tightest third of budgets above the best of single methods; times faster than FLOPs-driven plans.
TIGHT_GAIN, TIGHT_SHARE, FASTER = 0.003, 1 / 3, 1.2


def best_at(curves: Iterable[Sequence[Point]], cost: float) -> float | None:
    """The best metric that any of the curves reaches for at most `cost`; None where all are dearer."""
    found = []
    for points in curves:
        found += [point.metric for point in points if point.cost <= cost]
        between = metric_at(points, cost)
        if between is not None:
            found.append(between)
    return max(found, default=None)


def gains(ours: Sequence[Point], others: Iterable[Sequence[Point]]) -> list[tuple[float, float | None]]:
    """(cost, our metric less the best of `others` for at most that cost) by rising cost.

    None where no other plan is as fast.
    """
    curves = list(others)
    found = []
    for point in sorted(ours, key=lambda one: one.cost):
        best = best_at(curves, point.cost)
        found.append((point.cost, None if best is None else point.metric - best))
    return found


def tightest(found: Sequence[tuple[float, float | None]]) -> list[float]:
    """The gains at the least third of costs, those left out that have nothing to be compared with."""
    count = math.ceil(TIGHT_SHARE * len(found))
    return [gain for _, gain in found[:count] if gain is not None]


def against_single(all_gains: Mapping[str, Sequence[tuple[float, float | None]]]) -> list[Bar]:
    """Over all cases: nowhere worse, and better where budgets are tight."""
    known = [(label, cost, gain) for label, each in all_gains.items() for cost, gain in each if gain is not None]
    if not known:
        return [Bar("joint no worse than the best single method", "no plans to compare", met=False)]
    worse = [f"{label} {gain:+.2%} at {1e3 * cost:.1f} µs" for label, cost, gain in known if gain < 0]
    figure = f"{len(known) - len(worse)} of {len(known)}"
    if worse:
        much = sum(gain < -EQUAL for _, _, gain in known)
        figure += f"; by more than {EQUAL:.1%} {much}; worse: {', '.join(worse)}"
    bars = [Bar("joint no worse than the best single method at equal latency, every case", figure, met=not worse)]
    tight = [gain for each in all_gains.values() for gain in tightest(each)]
    if not tight:
        return [*bars, Bar("tightest third of budgets", "no single-method plan is as fast", met=False)]
    least = f"joint at least {TIGHT_GAIN:.1%} better at the tightest third of budgets, on average"
    return [*bars, Bar(least, f"{mean(tight):+.2%} over {len(tight)}", met=mean(tight) >= TIGHT_GAIN)]


def against_flops(curves: Mapping[str, tuple[Sequence[Point], Sequence[Point]]]) -> list[Bar]:
    """By case, joint's curve and the FLOPs-driven one: times faster at equal accuracy."""
    bars = []
    for label, (ours, theirs) in curves.items():
        found = [ratio for _, ratio in ratios(ours, theirs)]
        what = f"{label}: joint at least {FASTER} times as fast as FLOPs-driven at equal accuracy"
        if not found:
            bars.append(Bar(what, "no accuracy that both reach", met=False))
            continue
        value = geometric_mean(found)
        each = ", ".join(f"{ratio:.2f}" for ratio in found)
        bars.append(Bar(what, f"{value:.2f} ({each})", met=value >= FASTER))
    return bars
