"""All series so far, as text, as JSON and as a picture."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.peers.result import TOLERANCE
from benchmarks.predict.audit import described, kind_lines, kinds, worst
from benchmarks.predict.outcome import Outcome, Series
from benchmarks.predict.plot import plot
from benchmarks.predict.repeat import Repeat, lines
from benchmarks.predict.score import document, groups, judged, table
from hwaware.profiling.spells import ENOUGH, SLOW

SCHEMA_VERSION = 1
WORST = 5


def write(series: Sequence[Series], about: Mapping[str, Any], repeats: Mapping[str, Repeat], out: Path) -> None:
    """Write predict.json, predict.png and predict.svg into `out`; may be called again as series come."""
    whole = {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **about,
        "scores": document(groups(series)),
        "repeats": {name: asdict(found) | {"met": found.met} for name, found in repeats.items()},
        "kinds": [asdict(kind) for kind in kinds(series)],
        "worst": [{"series": item.label, "variant": number} for item, number, _ in worst(series, WORST)],
        "series": [item.document() for item in series],
    }
    temporary = out / ".predict.json"
    temporary.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n")
    temporary.replace(out / "predict.json")
    plot(series, [out / "predict.png", out / "predict.svg"])


def text(series: Sequence[Series], repeats: Mapping[str, Repeat]) -> str:
    """The report as it is printed."""
    scores = groups(series)
    parts = [judged("all", scores["all"]), table(scores)]
    parts.append([line for item in series for line in _series_lines(item)])
    parts.append(_disturbed_lines(series))
    parts.append([line for name, found in repeats.items() for line in lines(name, found)])
    parts.append(kind_lines(kinds(series)))
    parts.append([line for entry in worst(series, WORST) for line in described(*entry)])
    return "\n\n".join("\n".join(part) for part in parts if part)


def _series_lines(item: Series) -> list[str]:
    """The table, the profiled model itself as a control, and what is wrong with the series."""
    use = item.table
    times = "not timed" if use.seconds is None else f"{use.seconds:.0f} s"
    head = f"{item.label}: {use.cells} cells{'' if use.complete else ', cut short by the budget'}, profile {times}"
    control = "not predicted" if item.whole.error is None else f"predicted {100 * item.whole.error:+.1f} %"
    found = [f"{head}; the profiled model itself, {item.whole.measured.ms:.4f} ms: {control}"]
    speeds = [outcome.measured.sentinel_ns for outcome in (item.whole, *item.outcomes)]
    wander = 100 * (max(speeds) / min(speeds) - 1)
    found.append(f"  while they were measured the machine's own speed differed by {wander:.1f} % at most")
    if not item.predicted_first:
        found.append("  measured in an earlier run; predicted again from the same table")
    wrong = [(number, error) for number, error in _errors(item) if not error <= TOLERANCE]
    return found + [f"  OUTPUT {number} IS OFF BY {error:.1e}" for number, error in wrong]


def _disturbed_lines(series: Sequence[Series]) -> list[str]:
    """What was left out of the measured latencies, and what the figures would be if it were not."""
    outcomes = [outcome for item in series for outcome in item.outcomes]
    share = sum(outcome.measured.disturbed for outcome in outcomes) / len(outcomes)
    errors = [abs(outcome.any_error) for outcome in outcomes if outcome.any_error is not None]
    within = [100 * sum(error <= bound for error in errors) / len(outcomes) for bound in (0.05, 0.10)]
    lonely = sum(outcome.measured.agreeing < ENOUGH for outcome in outcomes)
    return [
        "samples were taken in calm moments of the machine, where there were any (by sentinels around them); of those "
        f"{100 * share:.0f} % were over {100 * (SLOW - 1):.0f} % slower than the variant's fastest and do not count",
        f"  if every moment counted, {within[0]:.1f} % of them would be within ±5 %, {within[1]:.1f} % within ±10 %",
        f"  {lonely} variants of {len(outcomes)} had fewer than {ENOUGH} rounds that agree with the fastest",
    ]


def _errors(item: Series) -> list[tuple[int, float]]:
    outcomes: tuple[Outcome, ...] = (item.whole, *item.outcomes)
    errors = [outcome.measured.output_error for outcome in outcomes]
    return [(number, error) for number, error in enumerate(errors) if error is not None]
