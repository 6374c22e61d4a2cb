"""CostModel: exact where measured, along the kernel's work elsewhere, flagged beyond, an error where all is unknown."""

from __future__ import annotations

import itertools
import json
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compiler.effort import NAMES, effort
from hwaware.compiler.schedules import variant
from hwaware.costs.fit import anchor_of
from hwaware.costs.model import CostModel
from hwaware.costs.prediction import INTERPOLATED, MEASURED, PREDICTED, OpCost, Prediction
from hwaware.costs.row import FAILED, GRAPH
from hwaware.costs.steps import padded, step_below
from hwaware.errors import MissingCostError
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.graph.workload import Workload
from tests.costs.tables import LANES, TARGET, conv, pool, row, table

INS, OUTS = (2, 4, 8, 12, 16, 32), (4, 7, 8, 13, 16, 24, 32)
# Nanoseconds a count of an invented device: nothing like the typical ones that fitting starts from.
DEVICE = np.array([40, 0.3, 0.3, 0.25, 0.1, 2.0, 0.9, 0.8, 0.8, 0.4, 0.6, 0.004, 0.01, 0.05, 400.0])


def work_ns(workload: Workload, costs: CostModel | None = None) -> float:
    """What the invented device takes for a workload, as it is written by default or where `costs` is asked."""
    choice = variant(workload, TARGET, None if costs is None else costs.table.choices).choice
    return float(effort(workload, TARGET, choice) @ DEVICE)


def measured(*places: tuple[int, int], noise: float = 0.0, seed: int = 1) -> CostModel:
    """A model of convolutions at `places`, timed with a relative error of `noise`."""
    draw = random.Random(seed)  # noqa: S311
    rows = [row(conv(*place), work_ns(conv(*place)) * (1 + draw.gauss(0, noise))) for place in places]
    return CostModel(table(rows))


GRID = tuple(itertools.product(INS, OUTS))
COSTS = measured(*GRID)


@given(place=st.sampled_from(GRID))
def test_measured_where_measured(place: tuple[int, int]) -> None:
    cost = COSTS.cost(conv(*place))
    assert cost.provenance == MEASURED
    assert cost.latency_ms == pytest.approx(work_ns(conv(*place)) / 1e6, rel=1e-3)
    assert cost.interval_ms[0] <= cost.latency_ms <= cost.interval_ms[1]


@given(inside=st.integers(2, 32), outside=st.integers(4, 32))
@settings(deadline=None)
def test_interpolation_follows_the_kernels_work(inside: int, outside: int) -> None:
    """Steps included, on widths of any kind, though no row tells how long which part takes."""
    cost = COSTS.cost(conv(inside, outside))
    assert cost.latency_ms == pytest.approx(work_ns(conv(inside, outside), COSTS) / 1e6, rel=0.12)
    assert cost.provenance == (MEASURED if (inside, outside) in set(GRID) else INTERPOLATED)


@given(
    values=st.lists(st.floats(1e3, 1e6), min_size=5, max_size=5).map(sorted),
    wider=st.integers(2, 4),
)
@settings(deadline=None, max_examples=50)
def test_no_operation_is_cheaper_than_a_measured_one_that_does_less(values: list[float], wider: int) -> None:
    """Whatever was measured, as long as it rises with the work, answers between two cells lie between their costs."""
    widths = [LANES * 2**step for step in range(5)]
    costs = CostModel(table([row(pool(width), ns) for width, ns in zip(widths, values, strict=True)]))
    asked = (widths[wider - 1] + widths[wider]) // 2
    cost = costs.cost(pool(asked)).latency_ms * 1e6
    assert values[wider - 1] / 1.03 <= cost <= values[wider] * 1.03


@pytest.mark.parametrize("place", [(1, 4), (33, 32), (32, 40), (2, 2)])
def test_beyond_the_grid_the_answer_is_predicted_and_less_sure(place: tuple[int, int]) -> None:
    cost = COSTS.cost(conv(*place))
    assert cost.provenance == PREDICTED
    assert cost.latency_ms == pytest.approx(work_ns(conv(*place), COSTS) / 1e6, rel=0.25)
    assert cost.spread > COSTS.cost(conv(31, 31)).spread


def test_a_model_is_known_as_its_least_certain_operation() -> None:
    ops = [OpCost(how, "key", 1.0, how) for how in (MEASURED, PREDICTED, INTERPOLATED)]
    for count, how in ((1, MEASURED), (2, PREDICTED), (3, PREDICTED)):
        assert Prediction(1.0, (0.9, 1.1), {}, tuple(ops[:count])).provenance == how


def test_an_unmeasured_family_is_predicted_from_its_schedule() -> None:
    cost = COSTS.cost(conv(16, 16, size=9))
    assert cost.provenance == PREDICTED
    assert cost.latency_ms == pytest.approx(work_ns(conv(16, 16, size=9), COSTS) / 1e6, rel=0.5)


@pytest.mark.parametrize("place", [(1, 4), (33, 32), (32, 40)])
def test_without_beyond_it_is_missing_and_names_the_neighbour_and_the_command(place: tuple[int, int]) -> None:
    costs = CostModel(COSTS.table, beyond=False)
    with pytest.raises(MissingCostError, match=r"nearest are .*hwaware profile MODEL --device board") as caught:
        costs.cost(conv(*place))
    assert conv(*place).key in str(caught.value)
    with pytest.raises(MissingCostError, match="nothing of its family"):
        costs.cost(conv(4, 4, size=7))


def test_a_schedule_without_cells_is_missing() -> None:
    with pytest.raises(MissingCostError, match="nothing of its family"):
        COSTS.cost(pool(8))


def test_a_failed_cell_has_no_cost() -> None:
    failed = replace(row(conv(4, 8), 100), status=FAILED, reason="signal SIGILL (illegal instruction)")
    with pytest.raises(MissingCostError, match="SIGILL"):
        CostModel(table([failed])).cost(conv(4, 8))


def rms_between(costs: CostModel) -> float:
    """Root mean square of the relative errors at widths that were not measured."""
    asked = [(inside, outside) for inside in (3, 5, 11, 20, 27) for outside in (5, 9, 15, 20, 29)]
    found = [costs.cost(conv(*place)).latency_ms * 1e6 / work_ns(conv(*place), costs) - 1 for place in asked]
    return float(np.sqrt(np.mean(np.square(found))))


def test_between_cells_errors_are_small_and_noise_of_measuring_adds_no_more_than_itself() -> None:
    assert rms_between(COSTS) < 0.06
    assert rms_between(measured(*GRID, noise=0.03)) < 0.06 + 0.03


def test_intervals_of_operations_hold_what_is_measured_later() -> None:
    """Cells left out of a noisy table lie in the 90 % intervals about as often as they say."""
    draw = random.Random(3)  # noqa: S311
    places = [(draw.randint(2, 32), draw.randint(4, 32)) for _ in range(150)]
    known = measured(*dict.fromkeys(places[:60]), noise=0.02)
    inside = 0
    left = [place for place in dict.fromkeys(places[60:]) if place not in places[:60]]
    for place in left:
        low, high = known.cost(conv(*place)).interval_ms
        inside += low <= work_ns(conv(*place), known) * (1 + draw.gauss(0, 0.02)) / 1e6 <= high
    assert inside / len(left) >= 0.85


def test_what_was_timed_within_a_graph_sets_the_level() -> None:
    """Alone all is 15 % cheaper: cells of the graph say how dear it is there, for all other widths as well."""
    rows = [row(conv(*place), 0.85 * work_ns(conv(*place))) for place in GRID]
    graph = [(3, 9), (6, 20), (14, 14), (27, 31), (9, 5), (20, 10), (30, 18), (11, 28)]
    rows += [row(conv(*place), work_ns(conv(*place)), state=GRAPH) for place in graph]
    costs = CostModel(table(rows))
    for place in [(16, 16), (5, 24), (25, 8)]:
        assert costs.cost(conv(*place)).latency_ms * 1e6 == pytest.approx(work_ns(conv(*place), costs), rel=0.12)


@given(width=st.integers(1, 200), lanes=st.sampled_from([1, 4, 8, 16]))
def test_steps(width: int, lanes: int) -> None:
    top = padded(width, lanes)
    assert width <= top < width + lanes
    assert padded(top, lanes) == top
    below = step_below(width, lanes)
    assert below < width
    assert below == 0 or padded(below, lanes) == below
    assert all(padded(other, lanes) == top for other in range(below + 1, width + 1))


def test_prediction_is_the_sum_and_its_json_is_the_promised_one() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(4, 8, 3, padding=1), torch.nn.Conv2d(8, 16, 3, padding=1))
    program = lower(capture(net.eval(), (torch.randn(1, 4, 6, 6),)))
    with pytest.raises(MissingCostError):
        COSTS.predict(program, {"weights": 1, "arena": 2})
    found = COSTS.predict(program, {"weights": 1, "arena": 2}, partial=True)
    expected = sum(COSTS.cost(conv(*place)).latency_ms for place in ((4, 8), (8, 16)))
    assert found.latency_ms == pytest.approx(expected)
    document = json.loads(json.dumps(found.document()))
    assert set(document) == {"latency_ms", "interval_ms", "memory_bytes", "ops", "missing"}
    assert found.provenance == MEASURED
    assert [set(op) for op in document["ops"]] == [{"name", "key", "latency_ms", "provenance"}] * 2
    assert document["missing"]
    assert all(key.startswith("copy|") for key in document["missing"])
    assert document["memory_bytes"] == {"weights": 1, "arena": 2}


def test_the_tables_overhead_is_added_once() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4))
    program = lower(capture(net.eval(), (torch.randn(1, 4),)))
    costs = CostModel(table([row(program.ops[0].workload, 500.0)], overhead_ns=1000.0))
    assert costs.predict(program, {}).latency_ms == pytest.approx(1500e-6)


def test_no_overhead_makes_time_vanish() -> None:
    module, inputs = torch.nn.Linear(4, 3), (torch.randn(1, 4),)
    program = lower(capture(module, inputs))
    rows = [row(op.workload, 500.0) for op in program.ops]
    assert CostModel(table(rows, overhead_ns=-1e6)).predict(program, {}).latency_ms > 0


@given(model=st.floats(0.001, 0.1), reach=st.floats(1.0, 30.0))
@settings(deadline=None, max_examples=20)
def test_a_tables_own_errors_widen_its_interval(model: float, reach: float) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4))
    program = lower(capture(net.eval(), (torch.randn(1, 4),)))
    rows = [row(program.ops[0].workload, 500.0)]
    found = CostModel(table(rows, fit={"model_spread": model, "reach": reach})).predict(program, {})
    low, high = found.interval_ms
    assert low < found.latency_ms < high
    assert np.log(high / low) / 2 == pytest.approx(reach * np.hypot(model, found.doubt), rel=1e-6)


@pytest.mark.parametrize("nonsense", [{"model_spread": "wide"}, {"reach": -1}, {"reach": True}, {"model_spread": 1e9}])
def test_a_damaged_fit_is_not_believed(nonsense: dict[str, object]) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4))
    program = lower(capture(net.eval(), (torch.randn(1, 4),)))
    rows = [row(program.ops[0].workload, 500.0)]
    damaged = CostModel(table(rows, fit=nonsense)).predict(program, {})
    assert damaged.interval_ms == CostModel(table(rows)).predict(program, {}).interval_ms


def test_counts_have_a_name_each() -> None:
    assert len(DEVICE) == len(NAMES)


def test_an_operation_that_writes_levels_is_reached_by_its_like_that_writes_floats() -> None:
    floats = "conv|conv2d|1x8x8x1:f32->1x8x8x1:f32|groups=1|add[channelc]"
    levels = "conv|conv2d|1x8x8x1:f32->1x8x8x1:u8|groups=1|add[channelc]+quantize[pairc]"
    reads_levels = "conv|conv2d|1x8x8x1:u8->1x8x8x1:u8|groups=1|scale[channelc]+quantize[pairc]"
    assert anchor_of(levels) == anchor_of(floats) == "conv|conv2d|1x8x8x1:f32->1x8x8x1:f32|groups=1"
    # What is read makes another kernel.
    assert anchor_of(reads_levels) != anchor_of(levels)
    assert anchor_of("copy|1x8:u8") == "copy"
