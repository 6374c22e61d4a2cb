"""Where predictions went wrong: the worst variants op by op, and kinds of operation over all variants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.predict.outcome import Outcome, Series

_OPS = 8  # of a variant, those that explain most of its error


@dataclass(frozen=True)
class Kind:
    """Operations of one kind and provenance: how many, and milliseconds in all."""

    kind: str
    provenance: str
    count: int
    predicted_ms: float
    measured_ms: float


def worst(series: Sequence[Series], count: int) -> list[tuple[Series, int, Outcome]]:
    """The variants with the largest relative errors; those without a prediction come first."""
    every = [(item, number, outcome) for item in series for number, outcome in enumerate(item.outcomes)]
    return sorted(every, key=lambda entry: -_size(entry[2]))[:count]


def _size(outcome: Outcome) -> float:
    return float("inf") if outcome.error is None else abs(outcome.error)


def pairs(outcome: Outcome) -> list[tuple[str, str, str, float, float]]:
    """(name, key, provenance, predicted ms, in-graph ms) of each operation, in order; none if programs differ."""
    if outcome.predicted is None:
        return []
    predicted, measured = outcome.predicted.ops, outcome.measured.ops
    if [op.key for op in predicted] != [op.key for op in measured]:
        return []
    return [(a.name, a.key, a.provenance, a.ms, b.ms) for a, b in zip(predicted, measured, strict=True)]


def described(item: Series, number: int, outcome: Outcome) -> list[str]:
    """A variant in words, the operations that are most milliseconds off below it."""
    title = f"{item.label}, variant {number}: measured {outcome.measured.ms:.4f} ms"
    if outcome.predicted is None or outcome.error is None:
        return [f"{title}, not predicted: {outcome.reason}"]
    low, high = outcome.predicted.low_ms, outcome.predicted.high_ms
    lines = [
        f"{title}, predicted {outcome.predicted.ms:.4f} ({low:.4f} to {high:.4f}), error {100 * outcome.error:+.1f} %"
    ]
    ops = pairs(outcome)
    for name, key, provenance, predicted, measured in sorted(ops, key=lambda op: -abs(op[3] - op[4]))[:_OPS]:
        off = 100 * (predicted / measured - 1)
        lines.append(f"  {predicted:9.4f} for {measured:9.4f} ms {off:+7.1f} %  {provenance:<12} {name}  {key}")
    if ops:
        total = sum(measured for *_, measured in ops)
        lines.append(f"  the operations, timed one by one, add up to {100 * total / outcome.measured.ms:.1f} %")
    return lines


def kinds(series: Sequence[Series]) -> list[Kind]:
    """What kinds of operation cost in all variants, the one that is most milliseconds off first."""
    sums: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for item in series:
        for outcome in item.outcomes:
            for _, key, provenance, predicted, measured in pairs(outcome):
                sums[key.split("|", 1)[0], provenance].append((predicted, measured))
    found = [
        Kind(kind, provenance, len(times), sum(a for a, _ in times), sum(b for _, b in times))
        for (kind, provenance), times in sums.items()
    ]
    return sorted(found, key=lambda item: -abs(item.predicted_ms - item.measured_ms))


def kind_lines(found: Sequence[Kind]) -> list[str]:
    """The kinds as text; nothing of none."""
    if not found:
        return []
    lines = [f"{'kind':<20}{'provenance':<14}{'ops':>6}{'predicted ms':>14}{'in-graph ms':>14}{'error':>9}"]
    for kind in found:
        off = 100 * (kind.predicted_ms / kind.measured_ms - 1)
        times = f"{kind.predicted_ms:14.3f}{kind.measured_ms:14.3f}"
        lines.append(f"{kind.kind:<20}{kind.provenance:<14}{kind.count:>6}{times}{off:>+8.1f}%")
    return lines
