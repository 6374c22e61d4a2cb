"""The figures of the page, from real samples; each is inline SVG, or "" where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.svg import DASHES, INK, MUTED, SERIES, draw
from hwaware.reports.wording import milliseconds, significant

_POINTS = 250  # per series: what a figure of this size can show
_OPS = 12
_GROUPS = 32  # beyond these a bar chart is no picture any more; the table has them all
_NAME_LENGTH = 44  # characters that fit above a bar


@dataclass(frozen=True)
class BarRow:
    """One name with a value (None: absent) per report."""

    name: str
    values: tuple[float | None, ...]


def distribution(reports: Sequence[LatencyReport]) -> str:
    """Cumulative distribution of each report's samples up to its p99, the median marked."""

    def plot(axes: Axes) -> None:
        levels = np.linspace(0, 0.99, _POINTS)
        for i, report in enumerate(reports):
            latency = report.latency_ms
            color = SERIES[i % len(SERIES)]
            line = np.quantile(latency.samples, levels)
            axes.plot(line, levels * 100, color=color, linestyle=DASHES[i % len(DASHES)])
            axes.plot([latency.p50], [50], "o", color=color, markersize=6)
        _latency_axis(axes, reports)
        axes.set_ylim(0, 101)
        axes.set_yticks([0, 25, 50, 75, 100])
        axes.set_ylabel("% of runs at or below")

    return draw("ecdf", "Cumulative distribution of the measured latencies", 270, plot)


def over_time(reports: Sequence[LatencyReport]) -> str:
    """The samples in the order in which they were measured: drift and throttling show here."""

    def plot(axes: Axes) -> None:
        top = max(report.latency_ms.p99 for report in reports)
        for i, report in enumerate(reports):
            samples = np.asarray(report.latency_ms.samples)
            picked = np.unique(np.linspace(0, len(samples) - 1, _POINTS).astype(int))
            progress = 100 * picked / max(1, len(samples) - 1)
            axes.plot(progress, samples[picked], ".", color=SERIES[i % len(SERIES)], markersize=4, alpha=0.75)
        if _spread(reports):
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, top * 1.08)
        axes.set_xlabel("% of the run")
        axes.set_ylabel("latency, ms")

    return draw("time", "Measured latencies in the order in which they were measured", 270, plot)


def op_bars(reports: Sequence[LatencyReport]) -> str:
    """Median time per op, of a pair the biggest saving first; beyond the slowest dozen summed in one row."""
    names = dict.fromkeys(op.name for report in reports for op in report.ops)
    times = [{op.name: op.p50_ms for op in report.ops} for report in reports]
    rows = [BarRow(name, tuple(time.get(name) for time in times)) for name in names]
    rows.sort(key=lambda row: -max(value or 0 for value in row.values))
    shown, rest = rows[:_OPS], rows[_OPS:]
    if len(reports) == 2:
        shown.sort(key=lambda row: (row.values[1] or 0) - (row.values[0] or 0))
    if rest:
        sums = tuple(sum(row.values[i] or 0 for row in rest) for i in range(len(reports)))
        shown.append(BarRow(f"{len(rest)} other ops together", sums))
    return _bars("ops", "Median time of each op", shown, milliseconds)


def width_bars(reports: Sequence[LatencyReport]) -> str:
    """Channels of each group or layer."""
    tables = [report.widths or {} for report in reports]
    names = dict.fromkeys(name for table in tables for name in table)
    rows = [BarRow(name, tuple(table.get(name) for table in tables)) for name in names]
    return _bars("widths", "Channels of each group", rows[:_GROUPS], lambda value: f"{value:.0f}")


def prediction(reports: Sequence[LatencyReport], labels: Sequence[str]) -> str:
    """The table's prediction with its interval, beside the measured median, for reports that have one."""
    chosen = [(i, report) for i, report in enumerate(reports) if report.predicted is not None]
    if not chosen:
        return ""

    def plot(axes: Axes) -> None:
        for row, (i, report) in enumerate(chosen):
            predicted, color = report.predicted, SERIES[i % len(SERIES)]
            assert predicted is not None
            low, high = predicted.interval_ms
            axes.plot([low, high], [row, row], color=color, linewidth=7, alpha=0.3, solid_capstyle="round")
            axes.plot([predicted.latency_ms], [row], "|", color=color, markersize=16, markeredgewidth=2.5)
            axes.plot([report.latency_ms.p50], [row], "D", color=INK, markersize=6.5)
            _label(axes, row - 0.36, labels[i])
        axes.set_ylim(len(chosen) - 0.5, -0.75)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlim(left=0)
        axes.set_xlabel("latency, ms")

    return draw("prediction", "Predicted latency with its interval, and measured", 60 + 52 * len(chosen), plot)


def _bars(name: str, title: str, rows: Sequence[BarRow], text: Callable[[float], str]) -> str:
    """Horizontal bars, one per report, under each row's name (a phone has no room for names at the side)."""
    if not rows:
        return ""
    series = len(rows[0].values)
    top = max(value or 0 for row in rows for value in row.values) or 1.0
    pitch = 1.35 + 0.8 * series  # in bar heights: the name, then the bars

    def plot(axes: Axes) -> None:
        for position, row in enumerate(rows):
            _label(axes, position * pitch, row.name)
            for i, value in enumerate(row.values):
                y = position * pitch + 0.85 + 0.8 * i
                axes.barh(y, value or 0, height=0.68, color=SERIES[i % len(SERIES)])
                shown = "–" if value is None else text(value)
                axes.text((value or 0) + top * 0.015, y, shown, va="center", size=11, color=MUTED)
        axes.set_ylim(len(rows) * pitch - 0.5, -0.7)
        axes.set_xlim(0, top * 1.2)
        axes.set_axis_off()

    return draw(name, title, 17 * (len(rows) * pitch) + 4, plot)


def _label(axes: Axes, y: float, text: str) -> None:
    short = text if len(text) <= _NAME_LENGTH else f"{text[:20]}…{text[-(_NAME_LENGTH - 21) :]}"
    axes.text(0, y, short, va="center", size=12, color=INK, transform=axes.get_yaxis_transform())


def _spread(reports: Sequence[LatencyReport]) -> bool:
    """Whether the medians lie too far apart for one linear axis."""
    medians = [report.latency_ms.p50 for report in reports]
    return max(medians) > 12 * min(medians)


def _latency_axis(axes: Axes, reports: Sequence[LatencyReport]) -> None:
    axes.set_xlabel("latency, ms")
    if _spread(reports):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: significant(value))
        axes.xaxis.set_minor_formatter(lambda value, _: "")
