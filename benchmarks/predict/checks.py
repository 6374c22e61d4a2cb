"""Outcomes as what a table's validation consists of: models it predicted, beside what the clock said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.predict.outcome import Outcome, Series
from hwaware.costs.model_check import ModelCheck, digest_of
from hwaware.costs.validation import add_check, read_checks

SOURCE = "benchmark"


def check_of(outcome: Outcome, name: str = "", threads: int = 1, created: str = "") -> ModelCheck | None:
    """The check of one variant; None where it was not predicted."""
    predicted, measured = outcome.predicted, outcome.measured
    if predicted is None:
        return None
    low, high = measured.ci95_ms
    return ModelCheck(
        model=name,
        digest=digest_of([op.key for op in predicted.ops]),
        threads=threads,
        held_out=outcome.widths is not None,
        predicted_ms=predicted.ms,
        low_ms=predicted.low_ms,
        high_ms=predicted.high_ms,
        measured_ms=measured.ms,
        ci95_low_ms=low,
        ci95_high_ms=high,
        predicted_rss=predicted.peak_rss,
        measured_rss=measured.peak_rss,
        weights=predicted.weights,
        arena=predicted.arena,
        created=created,
        source=SOURCE,
    )


def taught(folder: Path) -> frozenset[str]:
    """Digests of the whole models known to the table in `folder`, but for those that this benchmark measured."""
    return frozenset(check.digest for check in read_checks(folder) if check.source != SOURCE)


def record(series: Series, model: str) -> None:
    """Add the series, of the model of that name, to the validation of its table. Raises TableError."""
    for check in _checks(series, model):
        add_check(Path(series.table.path), check)


def _checks(series: Series, model: str) -> Iterator[ModelCheck]:
    created = datetime.now(UTC).isoformat(timespec="seconds")
    for number, outcome in enumerate((series.whole, *series.outcomes)):
        name = f"{model}~seed{series.seed}-{number - 1}" if number else model
        check = check_of(outcome, name, series.threads, created)
        if check is not None:
            yield check
