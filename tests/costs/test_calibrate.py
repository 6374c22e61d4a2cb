"""Calibration finds what was put into an invented device: overhead, errors of whole models, intervals that hold."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from hwaware.costs.calibrate import Known, calibrated
from hwaware.costs.model import CostModel
from hwaware.costs.row import GRAPH, CellRow
from hwaware.costs.table import CostTable
from hwaware.graph.lower.program import Program
from tests.costs.tables import conv, row, table
from tests.costs.test_model import work_ns

OVERHEAD_NS, MODEL_NOISE, CELL_NOISE = 700.0, 0.02, 0.02


def program(draw: random.Random) -> Program:
    """A chain of eight convolutions of any widths."""
    widths = [draw.randint(3, 48) for _ in range(9)]
    works = [conv(a, b, 12) for a, b in itertools.pairwise(widths)]
    return SimpleNamespace(ops=[SimpleNamespace(name=f"op{i}", workload=work) for i, work in enumerate(works)])  # type: ignore[return-value]


def devices(models: int, seed: int) -> tuple[CostTable, list[Known], list[Known]]:
    """A table made from `models`, those, and as many new ones."""
    draw = random.Random(seed)  # noqa: S311
    programs = [program(draw) for _ in range(2 * models)]
    rows: dict[str, CellRow] = {}
    known = []
    for one in programs:
        spent = {op.workload.key: work_ns(op.workload) * (1 + draw.gauss(0, CELL_NOISE)) for op in one.ops}
        total = sum(spent[op.workload.key] for op in one.ops)
        whole = (total + OVERHEAD_NS) * (1 + draw.gauss(0, MODEL_NOISE))
        known.append(Known(one, whole, total))
        if len(known) <= models:
            rows |= {op.workload.key: row(op.workload, spent[op.workload.key], state=GRAPH) for op in one.ops}
    return table(list(rows.values())), known[:models], known[models:]


def test_intervals_hold_about_as_many_new_models_as_they_say() -> None:
    held, errors = [], []
    for seed in (1, 2, 3):
        made, known, new = devices(16, seed)
        costs = CostModel(calibrated(made, "chain", known))
        for one in new:
            found = costs.predict(one.program, {})
            held.append(found.interval_ms[0] <= one.latency_ns / 1e6 <= found.interval_ms[1])
            errors.append(found.latency_ms * 1e6 / one.latency_ns - 1)
    assert 0.8 <= np.mean(held) <= 0.99
    assert float(np.sqrt(np.mean(np.square(errors)))) < 2 * MODEL_NOISE
    assert abs(float(np.mean(errors))) < MODEL_NOISE


def test_the_overhead_is_found_with_its_error() -> None:
    made, known, _ = devices(16, 5)
    manifest = calibrated(made, "chain", known).manifest
    assert manifest.fit is not None
    assert manifest.overhead_ns == pytest.approx(OVERHEAD_NS, abs=4 * manifest.fit["overhead_error_ns"])


def test_without_models_nothing_is_claimed() -> None:
    made, _known, _ = devices(4, 1)
    assert calibrated(made, "chain", []) is made


def test_one_variant_says_little_of_the_interval() -> None:
    made, known, _ = devices(4, 1)
    odd = replace(known[0], latency_ns=3 * known[0].latency_ns, sum_ns=3 * known[0].sum_ns)
    fit = calibrated(made, "chain", [odd]).manifest.fit
    plain = calibrated(made, "chain", [replace(known[0], drawn=False)]).manifest.fit
    assert fit is not None
    assert plain is not None
    assert 2 < plain["reach"] < 2.5
    assert plain["by_model"]["chain"]["tests"] == 0
    # A single one that is far off widens the interval, but not to where it would hold it.
    assert plain["reach"] < fit["reach"] < plain["reach"] * fit["by_model"]["chain"]["scale"]


def test_a_model_is_judged_without_what_was_measured_in_it() -> None:
    """One model ten times as slow as all others: were its own cells used, it would look well predicted."""
    made, known, _ = devices(8, 7)
    odd = known[0]
    rows = [
        row(conv_row.workload, 10 * work_ns(conv_row.workload), state=GRAPH)
        for conv_row in {op.workload.key: op for op in odd.program.ops}.values()
    ]
    kept = [one for one in made.rows if one.key not in {new.key for new in rows}]
    slow = Known(odd.program, 10 * odd.latency_ns, 10 * odd.sum_ns)
    fit = calibrated(table([*kept, *rows]), "chain", [slow, *known[1:]]).manifest.fit
    assert fit is not None
    assert fit["by_model"]["chain"]["left_out_rms"] > 0.3


def test_what_other_models_said_still_counts() -> None:
    made, known, _ = devices(8, 2)
    one = calibrated(made, "chain", known)
    slow = [replace(model, latency_ns=model.latency_ns + 20 * OVERHEAD_NS) for model in known]
    both = calibrated(one, "slow", slow).manifest
    assert one.manifest.fit is not None
    assert both.fit is not None
    assert set(both.fit["by_model"]) == {"chain", "slow"}
    assert both.fit["by_model"]["chain"] == one.manifest.fit["by_model"]["chain"]
    assert one.manifest.overhead_ns < both.overhead_ns < 20 * OVERHEAD_NS
    # Profiled once more, a model replaces what it had said itself.
    assert calibrated(calibrated(one, "slow", slow), "slow", known).manifest.overhead_ns == one.manifest.overhead_ns
