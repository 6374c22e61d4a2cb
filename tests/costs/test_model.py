"""CostModel: exact where measured, between its neighbours elsewhere, an error beyond."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.costs.model import INTERPOLATED, MEASURED, CostModel
from hwaware.costs.row import FAILED
from hwaware.costs.steps import padded, step_below
from hwaware.errors import MissingCostError
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from tests.costs.tables import LANES, conv, grid_table, pool, row, table

INS, OUTS = (2, 4, 8, 16, 32), (4, 8, 16, 24, 32)


def staircase(place: tuple[int, ...]) -> float:
    """Nanoseconds of a convolution that computes whole vectors."""
    return 200.0 + 30.0 * place[0] * padded(place[1], LANES)


COSTS = CostModel(grid_table(conv(4, 4), itertools.product(INS, OUTS), staircase))


@given(place=st.tuples(st.sampled_from(INS), st.sampled_from(OUTS)))
def test_measured_where_measured(place: tuple[int, int]) -> None:
    cost = COSTS.cost(conv(*place))
    assert cost.provenance == MEASURED
    assert cost.latency_ms == pytest.approx(staircase(place) / 1e6)
    assert cost.interval_ms[0] <= cost.latency_ms <= cost.interval_ms[1]


@given(inside=st.integers(2, 32), outside=st.integers(4, 32))
def test_interpolation_follows_the_staircase(inside: int, outside: int) -> None:
    """The formula is linear in each padded width, so that interpolation over padded widths is exact."""
    cost = COSTS.cost(conv(inside, outside))
    assert cost.latency_ms == pytest.approx(staircase((inside, outside)) / 1e6, rel=1e-3)
    assert cost.interval_ms[0] <= cost.latency_ms <= cost.interval_ms[1]
    if cost.provenance == MEASURED:
        assert (inside, outside) in set(itertools.product(INS, OUTS))


@given(
    values=st.lists(st.floats(100, 1e6), min_size=5, max_size=5).map(sorted),
    a=st.integers(2, 32),
    b=st.integers(2, 32),
)
@settings(deadline=None, max_examples=50)
def test_monotone_measurements_give_monotone_answers(values: list[float], a: int, b: int) -> None:
    costs = CostModel(table([row(pool(width), ns) for width, ns in zip(INS, values, strict=True)]))
    low, high = sorted((a, b))
    narrow, wide = costs.cost(pool(low)).latency_ms, costs.cost(pool(high)).latency_ms
    assert narrow <= wide * (1 + 1e-9)
    around = [ns / 1e6 for width, ns in zip(INS, values, strict=True)]
    assert min(around) * 0.999 <= narrow <= max(around) * 1.001


@pytest.mark.parametrize("place", [(1, 4), (33, 32), (32, 33), (2, 2)])
def test_missing_outside_the_grid_names_the_neighbour_and_the_command(place: tuple[int, int]) -> None:
    with pytest.raises(MissingCostError, match=r"nearest are .*hwaware profile MODEL --device board") as caught:
        COSTS.cost(conv(*place))
    assert conv(*place).key in str(caught.value)


def test_missing_family_is_said() -> None:
    with pytest.raises(MissingCostError, match="nothing of its family"):
        COSTS.cost(conv(4, 4, size=7))


def test_a_failed_cell_has_no_cost() -> None:
    failed = replace(row(conv(4, 8), 100), status=FAILED, reason="signal SIGILL (illegal instruction)")
    with pytest.raises(MissingCostError, match="SIGILL"):
        CostModel(table([failed])).cost(conv(4, 8))


def test_a_copy_below_the_grid_costs_at_most_a_larger_one() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1)).eval()
    large, small = (lower(capture(net, (torch.randn(1, 3, size, size),))).ops[0].workload for size in (8, 4))
    assert large.kind == "copy"
    costs = CostModel(table([row(large, 1000.0)]))
    assert costs.cost(small).latency_ms == costs.cost(large).latency_ms
    assert costs.cost(small).interval_ms[0] == 0
    with pytest.raises(MissingCostError):
        CostModel(table([row(small, 1000.0)])).cost(large)


def test_a_depthwise_convolution_of_one_channel_is_a_plain_one() -> None:
    rows = [row(conv(1, 1), 100), row(conv(9, 9, groups=9), 900)]
    costs = CostModel(table(rows))
    assert costs.cost(conv(5, 5, groups=5)).latency_ms == pytest.approx(500e-6, rel=0.01)
    assert costs.cost(conv(5, 5, groups=5)).provenance == INTERPOLATED


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
    assert found.latency_ms == pytest.approx((staircase((4, 8)) + staircase((8, 16))) / 1e6)
    document = json.loads(json.dumps(found.document()))
    assert set(document) == {"latency_ms", "interval_ms", "memory_bytes", "ops", "missing"}
    assert [set(op) for op in document["ops"]] == [{"name", "key", "latency_ms", "provenance"}] * 2
    assert document["missing"]
    assert all(key.startswith("copy|") for key in document["missing"])
    assert document["memory_bytes"] == {"weights": 1, "arena": 2}


def test_the_tables_overhead_is_added_once() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4))
    program = lower(capture(net.eval(), (torch.randn(1, 4),)))
    costs = CostModel(table([row(program.ops[0].workload, 500.0)], overhead_ns=1000.0))
    assert costs.predict(program, {}).latency_ms == pytest.approx(1500e-6)
