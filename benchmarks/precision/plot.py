"""The parts as a picture; the curves of `joint` are in one of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.precision.sizes import shares
from benchmarks.precision.speed_report import FASTER

Row = Mapping[str, Any]


def draw(found: Mapping[str, Any], path: Path) -> None:
    """One panel for each part that has one, into `path`; nothing where none has."""
    parts = [part for part in _PANELS if found.get(part)]
    if not parts:
        return
    figure = Figure(figsize=(11, 3.6 * len(parts)), layout="constrained")
    for axes, part in zip(figure.subplots(len(parts), 1, squeeze=False)[:, 0], parts, strict=True):
        _PANELS[part](axes, found[part])
    figure.savefig(path, dpi=110)


def _speed(axes: Axes, rows: Sequence[Row]) -> None:
    sides: dict[str, list[tuple[int, Row]]] = {}
    for place, row in enumerate(rows):
        sides.setdefault("our float32", []).append((place, row["times_faster"]))
        for peer in row["peers"]:
            if "ms" in peer:
                sides.setdefault(peer["name"], []).append((place, peer["times_faster"]))
    width = 0.8 / max(1, len(sides))
    colours = mpl.color_sequences["tab10"]
    for index, (name, bars) in enumerate(sides.items()):
        places = [place + (index - (len(sides) - 1) / 2) * width for place, _ in bars]
        ratios = [ratio for _, ratio in bars]
        values = [ratio["value"] for ratio in ratios]
        error = [[r["value"] - r["low"] for r in ratios], [r["high"] - r["value"] for r in ratios]]
        axes.bar(places, values, width, yerr=error, label=name, color=colours[index % 10], ecolor="0.3")
    axes.axhline(1, color="black", linewidth=1)
    axes.axhline(FASTER, color="black", linewidth=1, linestyle=":")
    axes.set_xticks(range(len(rows)), [f"{row['model']}, {row['threads']} thr." for row in rows])
    axes.set(ylabel="time over our int8", title="int8, 224×224, batch 1 (above 1: ours is faster)")
    axes.legend(fontsize="small", ncols=4)


def _bytes(axes: Axes, rows: Sequence[Row]) -> None:
    models = list(dict.fromkeys(row["model"] for row in rows))
    precisions = [name for name in dict.fromkeys(row["precision"] for row in rows) if name != "float32"]
    width = 0.8 / max(1, len(precisions))
    for index, precision in enumerate(precisions):
        mine = [row for row in rows if row["precision"] == precision]
        places = [models.index(row["model"]) + (index - (len(precisions) - 1) / 2) * width for row in mine]
        axes.bar(places, [100 * max(shares(list(rows), row).values()) for row in mine], width, label=precision)  # type: ignore[arg-type]
    axes.set_xticks(range(len(models)), models)
    axes.set(ylabel="% of float32", title="bytes of weights")
    axes.legend(fontsize="small", ncols=4)


def _accuracy(axes: Axes, rows: Sequence[Row]) -> None:
    nets = list(dict.fromkeys(row["net"] for row in rows))
    for name in (name for name in rows[0]["metrics"] if name != "float32"):
        places = [nets.index(row["net"]) for row in rows]
        lost = [100 * (row["metrics"]["float32"] - row["metrics"][name]) for row in rows]
        axes.plot(places, lost, "o", alpha=0.7, label=name)
    axes.axhline(0, color="black", linewidth=1)
    axes.set_xticks(range(len(nets)), nets)
    axes.set(ylabel="points lost", title="accuracy lost, each seed")
    axes.legend(fontsize="small", ncols=4)


def _never_slower(axes: Axes, rows: Sequence[Row]) -> None:
    measured = sorted((row for row in rows if "ratio" in row), key=lambda row: row["ratio"]["value"])
    ratios = [row["ratio"] for row in measured]
    values = [ratio["value"] for ratio in ratios]
    error = [[r["value"] - r["low"] for r in ratios], [r["high"] - r["value"] for r in ratios]]
    axes.errorbar(range(len(values)), values, yerr=error, fmt="o", markersize=3, capsize=2)
    axes.axhline(1, color="black", linewidth=1)
    axes.set(xlabel="random nets and budgets", ylabel="time of the plan over float32's", title="never slower")


_PANELS: dict[str, Callable[[Axes, Sequence[Row]], None]] = {
    "speed": _speed,
    "bytes": _bytes,
    "accuracy": _accuracy,
    "never-slower": _never_slower,
}
