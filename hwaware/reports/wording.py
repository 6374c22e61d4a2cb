"""Numbers and verdicts in words, the same on the terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwaware.reports.compare import Comparison, Pair
from hwaware.reports.latency_report import LatencyReport
from hwaware.statistics import Verdict


def milliseconds(value: float) -> str:
    """`1.23 ms`, below a tenth of a millisecond `12.3 µs`."""
    return f"{significant(value * 1000)} µs" if value < 0.1 else f"{significant(value)} ms"


def significant(value: float) -> str:
    """Three significant digits, never in scientific notation."""
    for digits, limit in ((0, 99.95), (1, 9.995), (2, 0.9995), (3, 0.09995), (4, 0.009995)):
        if abs(value) >= limit:
            return f"{value:.{digits}f}"
    return f"{value:.5f}" if value else "0"


def memory_size(size: int | None) -> str:
    """Bytes in the unit that keeps the number readable."""
    if size is None:
        return "not measured"
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{significant(size / scale)} {unit}"
    return f"{size} B"


def metric(value: float | None) -> str:
    """A fraction as a percentage, any other metric as it is."""
    if value is None:
        return "not evaluated"
    return f"{100 * value:.1f} %" if 0 <= value <= 1 else f"{value:.4g}"


def factor(pair: Pair) -> tuple[str, str, str]:
    """How many times faster (or slower) `b` is, and the interval's ends, with digits to tell them apart."""
    value, low, high = pair.ratio, *pair.ci95
    if value < 1 and pair.verdict is not Verdict.INDISTINGUISHABLE:
        value, low, high = 1 / value, 1 / high, 1 / low
    # "1.01 (1.00–1.01)" would seem to exclude the 1 that "indistinguishable" is about.
    for digits in (3, 4) if pair.verdict is Verdict.INDISTINGUISHABLE else (2, 3, 4):
        texts = f"{value:.{digits}f}", f"{low:.{digits}f}", f"{high:.{digits}f}"
        if texts[1] != texts[2] and float(texts[0]) != 1:
            break
    return texts


def pair_sentence(pair: Pair, device: str) -> str:
    """One pair's verdict, without a full stop."""
    value, low, high = factor(pair)
    if pair.verdict is Verdict.INDISTINGUISHABLE:
        return f"{pair.b} and {pair.a} cannot be told apart on {device}: ratio {value} (95 % CI {low}–{high}), measured"
    return f"{pair.b} is {value}× {pair.verdict} than {pair.a} on {device} (95 % CI {low}–{high}), measured"


def accuracy_clause(before: LatencyReport, after: LatencyReport) -> str:
    """`; accuracy 98.7 % → 98.4 %`, or nothing where one was not evaluated."""
    if before.accuracy is None or after.accuracy is None:
        return ""
    return f"; accuracy {metric(before.accuracy)} → {metric(after.accuracy)}"


def headline(reports: Sequence[LatencyReport], comparison: Comparison | None) -> str:
    """The page's one sentence."""
    first = reports[0]
    device = str(first.device["name"])
    if comparison is None:
        latency = first.latency_ms
        low, high = (significant(end) for end in latency.ci95)
        return (
            f"{first.model} takes {milliseconds(latency.p50)} on {device} "
            f"(median of {latency.n} runs, 95 % CI {low}–{high} ms), measured"
        )
    if not comparison.pairs:
        return "These reports cannot be compared: they were not measured alike"
    if len(comparison.labels) == 2:
        return pair_sentence(comparison.pairs[0], device) + accuracy_clause(first, reports[1])
    best = min(comparison.pairs, key=lambda pair: pair.ratio)
    counts = [
        f"{sum(pair.verdict is kind for pair in comparison.pairs)} {kind}"
        for kind in Verdict
        if any(pair.verdict is kind for pair in comparison.pairs)
    ]
    after = reports[comparison.labels.index(best.b)]
    best_text = pair_sentence(best, device) + accuracy_clause(first, after)
    return f"Of {len(comparison.labels) - 1} against {best.a}: {', '.join(counts)}. Best: {best_text}"


def plain(value: Any) -> str:
    """A value of an open mapping (device facts, conditions) on one line."""
    if value is None:
        return "not recorded"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {plain(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value) or "none"
    return str(value)
