"""The report page: one self-contained HTML file, no script, no network request.

The template escapes everything (jinja2 autoescape); only our own CSS and the figures, whose labels matplotlib
has escaped, are marked safe. A Content-Security-Policy in the page forbids scripts and requests besides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from hwaware.errors import ArtifactError
from hwaware.files import write_text_atomic
from hwaware.reports import figures, wording
from hwaware.reports.compare import Comparison, Pair, compare
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.svg import SERIES


@dataclass(frozen=True)
class Card:
    """One key figure: before and after (the same for a single report), with a remark below."""

    name: str
    before: str | None
    after: str
    remark: str = ""


@dataclass(frozen=True)
class Row:
    """One report in the tables and the legend: its label and the number of its colour."""

    label: str
    series: int
    report: LatencyReport
    pair: Pair | None


def write_page(
    path: Path,
    reports: Sequence[LatencyReport],
    comparison: Comparison | None = None,
    *,
    title: str = "Latency report",
) -> Path:
    """Write the page of one or more reports, whole or not at all; the first is the baseline.

    Without a `comparison` several reports are compared here. Raises ArtifactError.
    """
    return write_text_atomic(path, render(reports, comparison, title=title), ArtifactError)


def render(
    reports: Sequence[LatencyReport], comparison: Comparison | None = None, *, title: str = "Latency report"
) -> str:
    """The page as a string; the same input gives the same bytes."""
    if not reports:
        raise ArtifactError("a page needs at least one report: hwaware report R.json --html PAGE.html")
    if comparison is None and len(reports) > 1:
        comparison = compare(*reports)
    environment = Environment(
        loader=PackageLoader("hwaware.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "ms": wording.significant,
        "size": wording.memory_size,
        "metric": wording.metric,
        "plain": wording.plain,
        "whole": _whole_intervals,
    }
    rows = _rows(reports, comparison)
    source, _, _ = PackageLoader("hwaware.reports", "templates").get_source(environment, "page.css")
    return environment.get_template("page.html.j2").render(
        title=title,
        css=Markup(source),  # noqa: S704 - our own file
        headline=wording.headline(reports, comparison),
        tone=_tone(comparison),
        rows=rows,
        cards=_cards(reports, comparison),
        comparison=comparison,
        sentences=_sentences(reports, comparison),
        figures=_figures(reports, [row.label for row in rows]),
        widths=_table([report.widths or {} for report in reports]),
        ops=_table([{op.name: op for op in report.ops} for report in reports]),
        facts={
            name: _table([getattr(report, name) for report in reports])
            for name in ("device", "toolchain", "conditions")
        },
    )


def _figures(reports: Sequence[LatencyReport], labels: Sequence[str]) -> dict[str, Markup]:
    drawn = {
        "distribution": figures.distribution(reports),
        "over_time": figures.over_time(reports),
        "ops": figures.op_bars(reports),
        "widths": figures.width_bars(reports),
        "prediction": figures.prediction(reports, labels),
    }
    # Safe: matplotlib escapes every label, see svg.py.
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704


def _rows(reports: Sequence[LatencyReport], comparison: Comparison | None) -> list[Row]:
    labels = comparison.labels if comparison else (reports[0].model,)
    pairs = {pair.b: pair for pair in comparison.pairs} if comparison else {}
    return [
        Row(label, i % len(SERIES), report, pairs.get(label) if i else None)
        for i, (label, report) in enumerate(zip(labels, reports, strict=True))
    ]


def _whole_intervals(sentence: str) -> Markup:
    """The sentence, escaped, with its intervals kept from breaking across lines."""
    escaped = str(escape(sentence))
    spanned = re.sub(r"95 % CI [\d.]+–[\d.]+( ms)?", r'<span class="whole">\g<0></span>', escaped)
    return Markup(spanned)  # noqa: S704 - escaped above; the span is ours


def _tone(comparison: Comparison | None) -> str:
    """The colour of the headline: one verdict for all pairs, or none."""
    verdicts = {pair.verdict.value for pair in comparison.pairs} if comparison else set()
    if comparison and not comparison.comparable:
        return "refused"
    return verdicts.pop() if len(verdicts) == 1 else "mixed"


def _sentences(reports: Sequence[LatencyReport], comparison: Comparison | None) -> list[str]:
    """One sentence per pair where the headline could not say them all."""
    if comparison is None or len(reports) == 2:
        return []
    device = str(reports[0].device["name"])
    after = dict(zip(comparison.labels, reports, strict=True))
    return [
        wording.pair_sentence(pair, device) + wording.accuracy_clause(reports[0], after[pair.b])
        for pair in comparison.pairs
    ]


def _cards(reports: Sequence[LatencyReport], comparison: Comparison | None) -> list[Card]:
    """Key figures of one report, or of a pair before and after; more reports stand in the table."""
    if len(reports) > 2:
        return []
    before, after = (reports[0] if len(reports) == 2 else None), reports[-1]
    low, high = (wording.significant(end) for end in after.latency_ms.ci95)
    return [
        _card(
            "Median latency",
            before,
            after,
            lambda r: wording.milliseconds(r.latency_ms.p50),
            f"95 % CI {low}–{high} ms",
        ),
        _card("Accuracy", before, after, lambda r: wording.metric(r.accuracy)),
        _card("Weights", before, after, lambda r: wording.memory_size(r.memory_bytes.weights)),
        _card("Activation arena", before, after, lambda r: wording.memory_size(r.memory_bytes.arena)),
    ]


def _card(name: str, before: LatencyReport | None, after: LatencyReport, text: Any, remark: str = "") -> Card:
    return Card(name, None if before is None else text(before), text(after), remark)


def _table(columns: Sequence[Any]) -> dict[str, list[Any]]:
    """Mappings side by side: for each name of any of them, its value in each (None where absent)."""
    names = dict.fromkeys(name for column in columns for name in column)
    return {name: [column.get(name) for column in columns] for name in names}
