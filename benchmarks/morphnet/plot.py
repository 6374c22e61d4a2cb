"""Trade-off curves as a picture: a row a case, accuracy over measured latency and over FLOPs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from benchmarks.morphnet.report import curves

_AXES = {"measured_ms": ("measured latency (µs)", 1e3), "flops": ("MFLOP", 1e-6)}


def plot(results: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw all cases into `path`."""
    figure, grid = plt.subplots(len(results), 2, figsize=(11, 3.6 * len(results)), squeeze=False)
    for row, (label, case) in zip(grid, results.items(), strict=True):
        for axes, (field, (title, scale)) in zip(row, _AXES.items(), strict=True):
            for method, points in curves(case, field).items():
                axes.errorbar(
                    [scale * point.cost for point in points],
                    [100 * point.metric for point in points],
                    yerr=[50 * point.spread for point in points],
                    marker="o",
                    capsize=2,
                    label=method,
                )
            axes.set(xscale="log", xlabel=title, ylabel="accuracy (%)", title=label)
            axes.grid(alpha=0.3, which="both")
        row[0].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
