"""Comparing latency reports: refuse what was measured differently, else a verdict per pair and per op.

The first report is the baseline; each other one is paired with it. A ratio is the other's median over the
baseline's, so below 1 is faster.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hwaware.errors import ArtifactError
from hwaware.reports.latency_report import LatencyReport
from hwaware.statistics import Verdict, mann_whitney, median_ratio, verdict


@dataclass(frozen=True)
class Pair:
    """`b` against the baseline `a` (labels): ratio of medians b/a with its interval, p-value and verdict."""

    a: str
    b: str
    ratio: float
    ci95: tuple[float, float]
    p_value: float
    verdict: Verdict


@dataclass(frozen=True)
class OpPair:
    """One op of a pair, matched by name: medians in ms (null where a report lacks it) and their ratio b/a."""

    a: str
    b: str
    name: str
    a_p50_ms: float | None
    b_p50_ms: float | None
    ratio: float | None

    @property
    def lost_ms(self) -> float:
        """Milliseconds `b` spends more than `a` on this op."""
        return (self.b_p50_ms or 0.0) - (self.a_p50_ms or 0.0)


@dataclass(frozen=True)
class Comparison:
    """Verdicts of the pairs that may be compared, and `reasons` for each that may not."""

    comparable: bool
    reasons: tuple[str, ...]
    pairs: tuple[Pair, ...]
    ops: tuple[OpPair, ...]
    labels: tuple[str, ...]

    @property
    def slower(self) -> tuple[Pair, ...]:
        """The pairs whose second report is slower."""
        return tuple(pair for pair in self.pairs if pair.verdict is Verdict.SLOWER)

    def to_document(self) -> dict[str, Any]:
        """The JSON document, ready for json.dumps."""
        return dict(json.loads(json.dumps(asdict(self))))


# What must be equal, with how it is read: mappings, compared key by key so that a reason can name the key.
_CONDITIONS = ("power_mode", "governor", "frequency_locked", "cores")
_SAME: dict[str, Callable[[LatencyReport], Mapping[str, Any]]] = {
    "device": lambda report: {"": report.device["fingerprint"]},
    "condition": lambda report: {name: report.conditions.get(name) for name in _CONDITIONS},
    "threads": lambda report: {"": report.threads},
    "protocol": lambda report: {"": report.protocol},
    "toolchain": lambda report: report.toolchain,
}


def compare(*reports: LatencyReport, labels: Sequence[str] | None = None) -> Comparison:
    """Compare each report with the first; `labels` default to the model names. ArtifactError below two."""
    if len(reports) < 2:
        raise ArtifactError("a comparison needs at least two reports: hwaware compare A.json B.json")
    names = report_labels(reports) if labels is None else tuple(labels)
    reasons: list[str] = []
    pairs: list[Pair] = []
    ops: list[OpPair] = []
    baseline, first = reports[0], names[0]
    for other, name in zip(reports[1:], names[1:], strict=True):
        differing = differences(baseline, other)
        reasons += [f"{first} and {name}: {reason}" for reason in differing]
        if not differing:
            pairs.append(_pair(baseline, other, first, name))
            ops += _op_pairs(baseline, other, first, name)
    return Comparison(not reasons, tuple(reasons), tuple(pairs), tuple(ops), names)


def report_labels(reports: Sequence[LatencyReport], stems: Sequence[str] | None = None) -> tuple[str, ...]:
    """A different label for each report: its model's name, else its file's stem, else numbered."""
    labels = [report.model for report in reports]
    for candidates in (stems, [f"{label} ({i})" for i, label in enumerate(stems or labels, 1)]):
        count = Counter(labels)
        if candidates is not None:
            labels = [new if count[old] > 1 else old for old, new in zip(labels, candidates, strict=True)]
    return tuple(labels)


def differences(a: LatencyReport, b: LatencyReport) -> list[str]:
    """Why `a` and `b` may not be compared, each naming the thing and both values; empty if they may."""
    reasons = []
    for thing, read in _SAME.items():
        left, right = read(a), read(b)
        for key in sorted(left.keys() | right.keys()):
            if left.get(key) != right.get(key):
                what = f"{thing} {key}".strip()
                values = (_shown(report, thing, side.get(key)) for report, side in ((a, left), (b, right)))
                reasons.append(f"different {what} ({' | '.join(values)})")
    return reasons


def _shown(report: LatencyReport, thing: str, value: Any) -> str:
    """A value as a reader knows it; a fingerprint alone would say nothing."""
    if thing == "device":
        return f"{report.device['name']}, fingerprint {str(value)[:12]}"
    return "not recorded" if value is None else str(value)


def _pair(a: LatencyReport, b: LatencyReport, label_a: str, label_b: str) -> Pair:
    ratio = median_ratio(a.latency_ms.samples, b.latency_ms.samples)
    p_value = mann_whitney(a.latency_ms.samples, b.latency_ms.samples)
    return Pair(label_a, label_b, ratio.value, (ratio.low, ratio.high), p_value, verdict(ratio, p_value))


def _op_pairs(a: LatencyReport, b: LatencyReport, label_a: str, label_b: str) -> list[OpPair]:
    """Regressions first (by milliseconds lost), ops that only one report has last."""
    before = {op.name: op.p50_ms for op in a.ops}
    after = {op.name: op.p50_ms for op in b.ops}
    matched = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        ratio = new / old if old and new is not None else None
        matched.append(OpPair(label_a, label_b, name, old, new, ratio))
    return sorted(matched, key=lambda op: (None in (op.a_p50_ms, op.b_p50_ms), -op.lost_ms))
