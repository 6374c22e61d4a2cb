"""The report of a run: curves, and what they say of each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import geometric_mean, mean
from typing import Any

from benchmarks.morphnet.tradeoff import EQUAL, Point, curve, gains, ratios

OURS = "table"
_LATENCY, _FLOPS = "measured_ms", "flops"


def curves(case: Mapping[str, Any], axis: str) -> dict[str, list[Point]]:
    """The trade-off curve of each method over `axis` (a field of the runs)."""
    methods = dict.fromkeys(run["method"] for run in case["runs"])
    return {
        method: curve([(run["share"], run[axis], run["metric"]) for run in case["runs"] if run["method"] == method])
        for method in methods
    }


def report(results: Mapping[str, Mapping[str, Any]]) -> str:
    """All cases in words."""
    return "\n\n".join("\n".join([label, *_case(case)]) for label, case in results.items())


def _case(case: Mapping[str, Any]) -> list[str]:
    by_latency, by_flops = curves(case, _LATENCY), curves(case, _FLOPS)
    lines = []
    for method, points in by_latency.items():
        shown = ", ".join(
            f"{1e3 * point.cost:.1f} µs {point.metric:.2%} (spread {point.spread:.2%})" for point in points
        )
        lines.append(f"  {method:8} {shown}")
    ours = by_latency.get(OURS, [])
    for method, points in by_latency.items():
        if method in (OURS, "full"):
            continue
        lines += _against(f"{OURS} against {method}", ours, points)
    if "flops" in by_flops and "uniform" in by_flops:
        found = ratios(by_flops["flops"], by_flops["uniform"])
        if found:
            fewer = 1 - 1 / geometric_mean(ratio for _, ratio in found)
            lines.append(f"  FLOPs-driven against uniform: {fewer:.1%} fewer FLOPs at equal accuracy")
    return lines


def _against(title: str, ours: Sequence[Point], theirs: Sequence[Point]) -> list[str]:
    faster, better = ratios(ours, theirs), gains(ours, theirs)
    lines = []
    if faster:
        each = ", ".join(f"{ratio:.2f}× at {metric:.2%}" for metric, ratio in faster)
        mean_ratio = geometric_mean(ratio for _, ratio in faster)
        lines.append(f"  {title}: {mean_ratio:.2f}× faster at equal accuracy (within {EQUAL:.1%}): {each}")
    else:
        lines.append(f"  {title}: no accuracy that both reach")
    if better:
        each = ", ".join(f"{gain:+.2%} at {1e3 * cost:.1f} µs" for cost, gain in better)
        lines.append(f"  {title}: accuracy at equal latency {mean(gain for _, gain in better):+.2%}: {each}")
    return lines
