"""Part `joint` in words: the curves, what joint gains on single methods, and its bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.morphnet.report import curves
from benchmarks.precision.bars import summary
from benchmarks.precision.plans import FLOPS, FULL, SINGLE
from benchmarks.precision.verdict import against_flops, against_single, gains
from hwaware.compression.compress import JOINT


def joint_text(results: Mapping[str, Mapping[str, Any]]) -> str:
    """All cases."""
    lines = ["widths and precisions together: accuracy over measured latency, means over seeds"]
    all_gains, pairs = {}, {}
    for label, case in results.items():
        by_method = curves(case, "measured_ms")
        lines.append(f"  {label}, {case['epochs']} epochs")
        for method, points in by_method.items():
            shown = ", ".join(
                f"{1e3 * point.cost:.1f} µs {point.metric:.2%} (spread {point.spread:.2%})" for point in points
            )
            lines.append(f"    {method:9} {shown}")
        ours = by_method.get(JOINT, [])
        found = gains(ours, [by_method.get(method, []) for method in (*SINGLE, FULL)])
        each = ", ".join(
            f"{1e3 * cost:.1f} µs " + ("no other is as fast" if gain is None else f"{gain:+.2%}")
            for cost, gain in found
        )
        lines.append(f"    joint against the best single method: {each or 'no plans'}")
        all_gains[label] = found
        # The whole net is the FLOPs-driven plan of a budget of all FLOPs: the upper end of its curve.
        theirs = [*by_method.get(FLOPS, []), *by_method.get(FULL, [])] if FLOPS in by_method else []
        pairs[label] = (ours, sorted(theirs, key=lambda point: point.cost))
    bars = against_single(all_gains) + against_flops(pairs)
    return "\n".join([*lines, *map(str, bars), summary(bars)])
