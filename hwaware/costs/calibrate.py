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

from hwaware.costs.model import CostModel
from hwaware.costs.model_errors import WHOLE_SPREAD, ModelErrors, errors_of, with_errors
from hwaware.costs.row import GRAPH
from hwaware.costs.table import CostTable
from hwaware.graph.lower.program import Program


@dataclass(frozen=True)
class Known:
    """A measured model: nanoseconds of the whole and of its operations' sum; `drawn` if it is like what is asked."""

    program: Program
    latency_ns: float
    sum_ns: float
    drawn: bool = True


def calibrated(table: CostTable, name: str, models: Sequence[Known]) -> CostTable:
    """`table` with what `models`, variants of the profiled model `name`, say of its overhead and its intervals.

    What is known from other profiled models stays, and counts as well.
    """
    if not models:
        return table
    extra = np.array([model.latency_ns - model.sum_ns for model in models])
    overhead = float(np.median(extra))
    error = 1.4826 * float(np.median(np.abs(extra - overhead))) / math.sqrt(len(models))
    found = ModelErrors(len(models), round(overhead, 1), round(error, 1))
    others = {model: one for model, one in errors_of(table.manifest).items() if model != name}
    table = replace(table, manifest=with_errors(table.manifest, {**others, name: found}))
    drawn = [model for model in models if model.drawn]
    if not drawn:
        return table
    seen = Counter(key for model in models for key in _keys(model))
    errors, doubts = np.array([_left_out(table, model, seen) for model in drawn]).T
    found = replace(
        found,
        tests=len(drawn),
        # Not a robust one: what disturbs some of these will disturb some of those that are asked for.
        scale=round(_rms(errors / np.hypot(WHOLE_SPREAD, doubts)), 4),
        left_out_rms=round(_rms(errors), 5),
        left_out_bias=round(-float(np.mean(errors)), 5),
    )
    return replace(table, manifest=with_errors(table.manifest, {**others, name: found}))


def _rms(values: NDArray[np.float64]) -> float:
    return math.sqrt(float(np.mean(values**2)))


def _keys(model: Known) -> set[str]:
    return {op.workload.key for op in model.program.ops}


def _left_out(table: CostTable, model: Known, seen: Mapping[str, int]) -> tuple[float, float]:
    """log(measured / predicted) of a model by the table without what it alone has, and the doubt of its operations."""
    own = {key for key in _keys(model) if seen[key] == 1}
    rest = tuple(row for row in table.rows if not (row.state == GRAPH and row.key in own))
    found = CostModel(replace(table, rows=rest)).predict(model.program, {}, partial=True)
    return math.log(model.latency_ns / (found.latency_ms * 1e6)), found.doubt
