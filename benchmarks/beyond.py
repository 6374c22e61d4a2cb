"""`python -m benchmarks.beyond TABLE…`: what answers best for operations of which nothing alike was measured?

Every anchor of a table (a convolution of some size, say) is left out in turn and predicted from the rest of its
schedule: by the counts with fitted coefficients, which is what `predicted` answers are made of, and by a random forest
and gradient-boosted trees that get the logarithm of all counts and widths. Printed are root mean square errors of the
logarithm of time, about relative errors.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingRegressor, RandomForestRegressor

from hwaware.compiler.choice import Choice
from hwaware.compiler.effort import NAMES
from hwaware.costs.fit import anchor_of, coefficients
from hwaware.costs.row import CellRow
from hwaware.costs.table import CostTable

Array = NDArray[np.float64]
Learner = Callable[[Array, Array, Array], Array]  # counts and times known, counts asked -> times
_FEW = 4  # anchors; with fewer there is nothing to learn from


def _counted(counts: Array, times: Array, asked: Array) -> Array:
    return np.asarray(asked @ coefficients(counts, times))


def _forest(counts: Array, times: Array, asked: Array) -> Array:
    model = RandomForestRegressor(n_estimators=300, random_state=1, n_jobs=1)
    return np.asarray(np.exp(model.fit(np.log1p(counts), np.log(times)).predict(np.log1p(asked))))


def _boosted(counts: Array, times: Array, asked: Array) -> Array:
    model = GradientBoostingRegressor(n_estimators=300, max_depth=4, learning_rate=0.05, random_state=1)
    return np.asarray(np.exp(model.fit(np.log1p(counts), np.log(times)).predict(np.log1p(asked))))


LEARNERS: dict[str, Learner] = {"counts": _counted, "forest": _forest, "boosted": _boosted}


def schedules(table: CostTable) -> Iterator[tuple[str, list[CellRow]]]:
    """The usable cells of each schedule of enough anchors."""
    found: dict[str, list[CellRow]] = {}
    for row in table.rows:
        if row.usable and row.schedule and len(row.counts) == len(NAMES):
            found.setdefault(Choice.parse(row.schedule).schedule, []).append(row)
    for name, rows in sorted(found.items()):
        if len({anchor_of(row.family) for row in rows}) >= _FEW:
            yield name, rows


def errors(rows: Sequence[CellRow]) -> dict[str, float]:
    """Root mean square error of each learner over all anchors, each left out in turn."""
    counts = np.array([row.counts for row in rows])
    times = np.array([row.p50_ns for row in rows], dtype=float)
    anchors = np.array([anchor_of(row.family) for row in rows])
    off: dict[str, list[float]] = {name: [] for name in LEARNERS}
    for anchor in sorted(set(anchors)):
        out = anchors == anchor
        for name, learner in LEARNERS.items():
            found = learner(counts[~out], times[~out], counts[out])
            off[name] += list(np.log(np.maximum(found, 1e-3) / times[out]))
    return {name: float(np.sqrt(np.mean(np.square(values)))) for name, values in off.items()}


def main() -> int:
    """Print a line a schedule."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beyond", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("tables", nargs="+", type=Path, metavar="TABLE")
    args = parser.parse_args()
    print(f"{'table':<28} {'schedule':<12} {'cells':>5} {'anchors':>7} " + " ".join(f"{name:>8}" for name in LEARNERS))
    for folder in args.tables:
        for name, rows in schedules(CostTable.load(folder)):
            anchors = len({anchor_of(row.family) for row in rows})
            off = " ".join(f"{value:8.3f}" for value in errors(rows).values())
            print(f"{folder.name:<28} {name:<12} {len(rows):5d} {anchors:7d} {off}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
