"""How far a table's predictions of whole models are off, found out on the models it was made from.

Each of them is predicted by the table without what was measured within it (leave-one-out), and compared with what it
took. From that follow the 90 % interval, and what running a whole model adds to the sum of its operations.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from hwaware.costs.model import CostModel
from hwaware.costs.row import GRAPH
from hwaware.costs.table import CostTable
from hwaware.graph.lower.program import Program

_COVERAGE = 0.9
# A model's latency cannot be measured more precisely than this, however well it is predicted.
_LEAST_SPREAD = 0.004
# With fewer models nothing is said of the interval.
_FEWEST = 4


@dataclass(frozen=True)
class Known:
    """A measured model: nanoseconds of the whole and of its operations' sum; `drawn` if it is like what is asked."""

    program: Program
    latency_ns: float
    sum_ns: float
    drawn: bool = True


def calibrated(table: CostTable, models: Sequence[Known]) -> CostTable:
    """`table` with its overhead and its intervals fitted to `models`."""
    if not models:
        return table
    extra = np.array([model.latency_ns - model.sum_ns for model in models])
    overhead = float(np.median(extra))
    error = _deviation(extra - overhead) / math.sqrt(len(models))
    manifest = replace(table.manifest, overhead_ns=round(overhead, 1), fit={"overhead_error_ns": round(error, 1)})
    table = replace(table, manifest=manifest)
    drawn = [model for model in models if model.drawn]
    if len(drawn) < _FEWEST:
        return table
    fit = {**(manifest.fit or {}), **_interval(table, drawn, models)}
    return replace(table, manifest=replace(manifest, fit=fit))


def _interval(table: CostTable, models: Sequence[Known], known: Sequence[Known]) -> dict[str, float]:
    """`model_spread`, what is off beyond the doubt about operations, and the `reach` of the interval in deviations.

    `models` are left out one by one, the rest of the `known` ones stay.
    """
    seen = Counter(key for model in known for key in _keys(model))
    errors, doubts = np.array([_left_out(table, model, seen) for model in models]).T
    beyond = _deviation(errors) ** 2 - float(np.median(doubts)) ** 2
    spread = max(_LEAST_SPREAD, math.sqrt(max(0.0, beyond)))
    reach = float(norm.ppf(0.5 + _COVERAGE / 2)) * _deviation(errors / np.hypot(spread, doubts))
    return {
        "model_spread": round(spread, 5),
        "reach": round(max(1.0, reach), 4),
        "left_out_rms": round(math.sqrt(float(np.mean(errors**2))), 5),
        "left_out_bias": round(-float(np.mean(errors)), 5),
        "models": len(models),
    }


def _deviation(values: NDArray[np.float64]) -> float:
    """The standard deviation of what is normally distributed about 0, but for a few that were disturbed."""
    return 1.4826 * float(np.median(np.abs(values)))


def _keys(model: Known) -> set[str]:
    return {op.workload.key for op in model.program.ops}


def _left_out(table: CostTable, model: Known, seen: Mapping[str, int]) -> tuple[float, float]:
    """log(measured / predicted) of a model by the table without what it alone has, and the doubt of its operations."""
    own = {key for key in _keys(model) if seen[key] == 1}
    rest = tuple(row for row in table.rows if not (row.state == GRAPH and row.key in own))
    found = CostModel(replace(table, rows=rest)).predict(model.program, {}, partial=True)
    return math.log(model.latency_ns / (found.latency_ms * 1e6)), found.doubt
