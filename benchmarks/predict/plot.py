"""The outcome as a picture: predicted against measured by family, all errors, and what the intervals held."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from benchmarks.predict.draw import FAMILIES
from benchmarks.predict.outcome import Outcome, Series
from benchmarks.predict.score import score

_COLUMNS = 3
_MARKERS = "os^Dv"
_BANDS = ((0.10, "0.92"), (0.05, "0.84"))  # half-width, grey


def plot(series: Sequence[Series], paths: Sequence[Path]) -> None:
    """Write the picture to each of `paths` (its suffix is the format)."""
    families = list(dict.fromkeys(item.family for item in series))
    rows = -(-(len(families) + 2) // _COLUMNS)
    figure = Figure(figsize=(4.6 * _COLUMNS, 4.2 * rows), layout="constrained")
    panels = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for panel in panels[len(families) + 2 :]:
        panel.set_visible(False)
    for panel, family in zip(panels, families, strict=False):
        _scatter(panel, family, [item for item in series if item.family == family])
    _histogram(panels[len(families)], series)
    _intervals(panels[len(families) + 1], series)
    for path in paths:
        figure.savefig(path, dpi=120)


def _predicted(item: Series) -> list[Outcome]:
    return [outcome for outcome in item.outcomes if outcome.predicted is not None]


def _scatter(panel: Any, family: str, series: Sequence[Series]) -> None:
    """Predicted against measured on logarithmic axes, the bands of ±5 % and ±10 % behind."""
    times = [outcome.measured.ms for item in series for outcome in item.outcomes]
    line = np.array([min(times) / 1.2, max(times) * 1.2])
    for half, grey in _BANDS:
        panel.fill_between(line, line * (1 - half), line * (1 + half), color=grey, label=f"±{100 * half:.0f} %")
    panel.plot(line, line, color="0.4", linewidth=0.8)
    for item, colour, marker in zip(series, mpl.color_sequences["tab10"], _MARKERS, strict=False):
        known = _predicted(item)
        x = np.array([outcome.measured.ms for outcome in known])
        found = np.array(
            [(o.predicted.ms, o.predicted.low_ms, o.predicted.high_ms) for o in known if o.predicted is not None]
        ).reshape(-1, 3)
        y, low, high = found.T
        label = f"{item.threads} thread{'s' if item.threads > 1 else ''}"
        reach = np.clip(np.stack([y - low, high - y]), 0, None)
        panel.errorbar(x, y, reach, fmt=marker, color=colour, markersize=4, elinewidth=0.7, label=label)
    panel.set(xscale="log", yscale="log", xlabel="measured, ms", ylabel="predicted, ms")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(StrMethodFormatter("{x:g}"))
        axis.set_tick_params(which="both", labelsize="x-small")
    net = FAMILIES.get(family, "").rpartition(":")[2]
    panel.set_title(f"{family} ({net})" if net else family)
    panel.legend(fontsize="small")


def _histogram(panel: Any, series: Sequence[Series]) -> None:
    """Relative errors, all variants of a number of threads in one colour; beyond the axis in its last bins."""
    threads = sorted({item.threads for item in series})
    errors = [
        [100 * (o.error or 0.0) for item in series if item.threads == count for o in _predicted(item)]
        for count in threads
    ]
    reach = min(50.0, max([10.0, *(abs(value) for values in errors for value in values)]))
    edges = np.linspace(-reach, reach, 41)
    names = [f"{count} thread{'s' if count > 1 else ''}" for count in threads]
    colours = mpl.color_sequences["tab10"][: len(threads)]
    panel.yaxis.set_major_locator(MaxNLocator(integer=True))
    panel.hist([np.clip(values, -reach, reach) for values in errors], edges, stacked=True, label=names, color=colours)
    for bound in (5, 10):
        panel.axvline(-bound, color="0.5", linewidth=0.8, linestyle=":")
        panel.axvline(bound, color="0.5", linewidth=0.8, linestyle=":")
    found = score([outcome for item in series for outcome in item.outcomes])
    panel.set_title(f"{100 * found.within_5:.1f} % within ±5 %, {100 * found.within_10:.1f} % within ±10 %")
    panel.set(xlabel="predicted over measured, less one, %", ylabel="variants")
    panel.legend(fontsize="small")


def _intervals(panel: Any, series: Sequence[Series]) -> None:
    """Each variant's 90 % interval over what was measured, by its middle: those that miss 1 are coloured."""
    every = [outcome for item in series for outcome in item.outcomes]
    known = sorted((o for o in every if o.predicted is not None), key=lambda o: o.error or 0.0)
    for place, outcome in enumerate(known):
        assert outcome.predicted is not None
        ends = [outcome.predicted.low_ms / outcome.measured.ms, outcome.predicted.high_ms / outcome.measured.ms]
        panel.plot([place, place], ends, color="0.5" if outcome.covered else "tab:red", linewidth=1)
    panel.axhline(1, color="black", linewidth=0.8)
    panel.set_title(f"90 % intervals, {100 * score(every).coverage:.0f} % hold the measured time")
    panel.set(xlabel="variants", ylabel="interval over measured", xticks=[])
