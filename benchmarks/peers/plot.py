"""The comparison as a picture: each peer's time over ours, by model, one panel a number of threads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.peers.result import Row


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture to `path` (its suffix is the format)."""
    counts = sorted({row.threads for row in rows})
    names = [peer.name for peer in rows[0].peers]
    colours = mpl.color_sequences["tab10"]
    figure = Figure(figsize=(11, 3.6 * len(counts)), layout="constrained")
    panels = figure.subplots(len(counts), 1, squeeze=False)[:, 0]
    for panel, threads in zip(panels, counts, strict=True):
        chosen = [row for row in rows if row.threads == threads]
        width = 0.8 / len(names)
        for index, name in enumerate(names):
            places, heights, low, high = [], [], [], []
            for place, row in enumerate(chosen):
                peer = row.peers[index]
                if not peer.counts or peer.times_faster is None:
                    continue
                ratio = peer.times_faster
                places.append(place + (index - (len(names) - 1) / 2) * width)
                heights.append(ratio.value)
                low.append(ratio.value - ratio.low)
                high.append(ratio.high - ratio.value)
            panel.bar(places, heights, width, yerr=(low, high), label=name, color=colours[index], ecolor="0.3")
        panel.axhline(1, color="black", linewidth=1)
        panel.set_yscale("log", base=2)
        panel.set_yticks([0.5, 1, 2, 4, 8], ["0.5", "1", "2", "4", "8"])
        panel.set_xticks(range(len(chosen)), [row.model for row in chosen])
        panel.set_ylabel("time over ours")
        panel.set_title(f"{threads} thread{'s' if threads > 1 else ''}, float32, batch 1 (above 1: ours is faster)")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(names), fontsize="small")
    figure.savefig(path, dpi=120)
