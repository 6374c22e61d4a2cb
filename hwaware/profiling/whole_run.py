"""What the runs of a whole model come to: its latency, and a row for each operation in the state ``graph``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from hwaware.compiler.choice import Variant
from hwaware.compiler.effort import effort
from hwaware.compiler.target import Target
from hwaware.costs.row import GRAPH, UNSTABLE, CellRow, statistics_of
from hwaware.graph.lower import Program
from hwaware.profiling.lines import empty_row
from hwaware.profiling.run import RunResult
from hwaware.profiling.spells import ENOUGH, SLOW, Samples, undisturbed

# Samples of an operation kept from each run.
_KEPT = 40


@dataclass(frozen=True)
class WholeRun:
    """A model as it was measured: nanoseconds of the whole, bytes, and a row for each of its operations.

    `sum_ns` is that of its operations' medians, `ci95_ns` the interval of the median of the whole. Not `steady`:
    none of its runs is to be relied on.
    """

    name: str
    program: Program
    latency_ns: float
    ci95_ns: tuple[float, float]
    sum_ns: float
    weights: int
    arena: int
    peak_rss: int | None
    rows: tuple[CellRow, ...]
    steady: bool = True


def whole_run(
    name: str,
    program: Program,
    choices: Mapping[str, Variant],
    runs: Sequence[RunResult],
    target: Target,
    threads: int,
    reason: str = "",
) -> WholeRun:
    """The `runs` of a program that was compiled by `choices`, as far as they were not disturbed.

    As shipped everything counts. `reason` says why none of them is to be relied on, if so.
    """
    good = _counting(runs, [run.samples_ns for run in runs])
    # Operations are timed in a pass of their own.
    good_ops = _counting(runs, [_pass_totals_ns(run) for run in runs])
    kept = [np.asarray(run.samples_ns)[mask] for run, mask in zip(runs, good, strict=True)]
    whole = statistics_of([sample for samples in kept for sample in _thinned(samples)])
    by_key: dict[str, list[float]] = {}
    for run, mask in zip(runs, good_ops, strict=True):
        for op in run.ops:
            by_key.setdefault(op.key, []).extend(_thinned(np.asarray(op.samples_ns)[mask]))
    around = _conditions(runs) | _trouble(runs, good_ops, reason)
    rows = {}
    for key, samples in by_key.items():
        row = empty_row(choices[key], threads)
        counts = effort(choices[key].workload, target, choices[key].choice, threads)
        # At least a tenth of a nanosecond: a coarse clock may not have moved during an operation.
        times = statistics_of([max(sample, 0.1) for sample in samples])
        rows[key] = replace(row, state=GRAPH, counts=tuple(float(count) for count in counts), **times, **around)
    latency = float(np.median(np.concatenate(kept)))
    peaks = [run.peak_rss for run in runs if run.peak_rss is not None]
    return WholeRun(
        name=name,
        program=program,
        latency_ns=latency,
        ci95_ns=(min(latency, whole["ci95_low_ns"]), max(latency, whole["ci95_high_ns"])),
        sum_ns=sum(rows[op.workload.key].p50_ns or 0.0 for op in program.ops),
        weights=runs[0].weights,
        arena=runs[0].arena,
        peak_rss=int(np.median(peaks)) if peaks else None,
        rows=tuple(rows.values()),
        steady=not reason,
    )


def _pass_totals_ns(run: RunResult) -> np.ndarray:
    """What all operations took together, each time they were timed."""
    return np.sum([op.samples_ns for op in run.ops], axis=0)


def _counting(runs: Sequence[RunResult], samples_ns: Sequence[Samples]) -> list[np.ndarray]:
    if any(run.protocol == "as-shipped" for run in runs):
        return [np.ones(len(samples), dtype=bool) for samples in samples_ns]
    return undisturbed(samples_ns)


def _thinned(samples: np.ndarray) -> list[float]:
    """At most `_KEPT` of the samples, evenly over the time of measuring."""
    if len(samples) <= _KEPT:
        return [float(sample) for sample in samples]
    return [float(samples[index]) for index in np.linspace(0, len(samples) - 1, _KEPT).astype(int)]


def _trouble(runs: Sequence[RunResult], masks: Sequence[np.ndarray], reason: str) -> dict[str, Any]:
    """Status and reason where the conditions were bad, else nothing."""
    reasons = [reason] if reason else []
    good = [run for run, mask in zip(runs, masks, strict=True) if mask.any()]
    reasons += dict.fromkeys(slow for run in good if (slow := run.around.slowed()))
    if len(good) < min(ENOUGH, len(runs)):
        reasons.append(
            f"only {len(good)} of {len(runs)} runs of the model came within {SLOW - 1:.0%} of its fastest: "
            "something else was running"
        )
    return {"status": UNSTABLE, "reason": "; ".join(reasons)} if reasons else {}


def _conditions(runs: Sequence[RunResult]) -> dict[str, Any]:
    """The columns that say in which conditions the runs were, first to last."""
    first, last = asdict(runs[0].around), asdict(runs[-1].around)
    flags = dict.fromkeys(flag for run in runs for flag in run.around.throttle.split("+") if flag)
    return {
        "khz_before": first["khz_before"],
        "khz_after": last["khz_after"],
        "milli_c_before": first["milli_c_before"],
        "milli_c_after": last["milli_c_after"],
        "involuntary_switches": sum(run.around.involuntary_switches for run in runs),
        "load1": last["load1"],
        "throttle": "+".join(flags),
        "inner": 1,
    }
