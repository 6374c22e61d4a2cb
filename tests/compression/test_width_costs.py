from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from hwaware.compiler.assemble import program_memory
from hwaware.compression.slopes import next_cheaper, slopes
from hwaware.costs.model import CostModel
from hwaware.errors import MissingCostError
from hwaware.graph.lower import lower
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked, slice_graph
from tests.compression.morphnets import EXAMPLE, NETS, TARGET, Chain, Depthwise, Residual, captured, prepare
from tests.compression.tables import Formula, multiply_adds, staircase, table_of


def table_model(net: type[nn.Module]) -> CostModel:
    return CostModel(table_of(GraphModel(captured(net)).graph_for(EXAMPLE)), beyond=False)


@pytest.mark.parametrize("net", NETS)
def test_the_outline_costs_what_the_sliced_and_lowered_graph_costs(net: type[nn.Module]) -> None:
    prepared = prepare(net, Formula(staircase))
    costs, chance = prepared.costs, random.Random(0)  # noqa: S311
    assert costs.outline(costs.full).linear(costs.full)
    for _ in range(6):
        widths = {name: chance.randint(1, size) for name, size in costs.full.items()}
        keep = {name: chance.sample(range(costs.full[name]), width) for name, width in widths.items()}
        program = lower(slice_graph(prepared.static, keep))
        assert costs.latency(widths) == pytest.approx(Formula(staircase).predict(program, {}).latency_ms, rel=1e-12)
        memory = program_memory(program, TARGET)
        assert costs.predict(widths).memory_bytes == memory
        assert costs.cost("size", widths) == memory["weights"]
        assert costs.cost("memory", widths) == memory["weights"] + memory["arena"]


@pytest.mark.parametrize("net", NETS)
def test_a_table_answers_from_its_floor_up(net: type[nn.Module]) -> None:
    costs = prepare(net, table_model(net)).costs
    least = costs.least()
    for name, size in costs.full.items():
        assert 2 <= costs.floor[name] <= size // 2
    assert costs.reaches(least)
    assert costs.latency(least) < costs.latency(costs.full)
    assert costs.predict(least).missing == ()


def test_below_the_floor_the_table_is_silent_not_zero() -> None:
    costs = prepare(Chain, table_model(Chain)).costs
    name = next(name for name, floor in costs.floor.items() if floor > 1)
    with pytest.raises(MissingCostError):
        costs.latency(costs.full | {name: costs.floor[name] - 1})


def test_a_residual_branch_may_vanish_and_a_chain_may_not() -> None:
    residual = prepare(Residual, Formula(staircase)).costs
    without = residual.full | {"first.0": 0}
    assert residual.latency(without) < residual.latency(residual.full | {"first.0": 1})
    assert "conv2d_1" not in {op.name for op in residual.outline(without).program.ops}
    assert residual.nearest(without) == without
    assert residual.least()["first.0"] == 0
    chain = prepare(Chain, Formula(staircase)).costs
    assert chain.nearest(chain.full | {"0.0": 0})["0.0"] == 2


def test_slope_of_a_plain_convolution_is_the_cost_of_its_last_channel() -> None:
    costs = prepare(Chain, Formula(multiply_adds)).costs
    for name in costs.full:
        for width in (costs.full[name], 5, 2):
            widths = costs.full | {name: width}
            by_op = slopes(costs, widths)[name]
            less = costs.latency({**widths, name: width - 1})
            assert sum(by_op.values()) == pytest.approx(costs.latency(widths) - less, rel=1e-12)


def test_slope_where_input_and_output_are_one_group_is_2n_minus_1() -> None:
    costs = prepare(Residual, Formula(multiply_adds)).costs
    stream = next(name for name, size in costs.full.items() if name == "stem.0")
    for width in (16, 9, 4):
        slope = slopes(costs, {**costs.full, stream: width})[stream]["conv2d_3"]
        assert slope * 1e6 == pytest.approx(8 * 8 * 9 * (2 * width - 1), rel=1e-12)


def test_slope_of_a_depthwise_convolution_counts_a_channel_once() -> None:
    costs = prepare(Depthwise, Formula(multiply_adds)).costs
    shared = next(name for name, by_op in slopes(costs, costs.full).items() if "conv2d_1" in by_op)
    # Two filters a channel, 3×3, on 8×8 places.
    assert slopes(costs, costs.full)[shared]["conv2d_1"] * 1e6 == pytest.approx(2 * 8 * 8 * 9, rel=1e-12)


def test_slope_on_a_stair_looks_down_to_the_next_step() -> None:
    costs = prepare(Chain, Formula(lambda work: 1000.0 * staircase(work))).costs
    stem = "conv2d"  # its output channels are padded to 8: 16 costs as much as 13, more than 12
    high, middle = ({**costs.full, "0.0": width} for width in (16, 14))
    step = costs.latency(high) - costs.latency({**high, "0.0": 12})
    assert step > 0
    for widths, channels in ((high, 4), (middle, 2)):
        outline = costs.outline(widths)
        op = next(op for op in outline.ops if op.op.name == stem)
        fall = costs.op_latency(outline, op, widths) - costs.op_latency(outline, op, {**widths, "0.0": 12})
        assert slopes(costs, widths)["0.0"][stem] == pytest.approx(fall / channels, rel=1e-9)


def test_next_cheaper_width_is_cheaper_by_what_it_says() -> None:
    costs = prepare(Chain, Formula(staircase)).costs
    for name in costs.full:
        found = next_cheaper(costs, name, costs.full)
        assert found is not None
        width, saves = found
        assert saves > 0
        assert costs.latency(costs.full) - saves == pytest.approx(costs.latency({**costs.full, name: width}))


def test_masked_and_sliced_agree_for_any_widths() -> None:
    for net in NETS:
        prepared, chance = prepare(net, Formula(staircase)), random.Random(1)  # noqa: S311
        keep = {n: sorted(chance.sample(range(s), max(1, s // 2))) for n, s in prepared.costs.full.items()}
        x = torch.randn(4, *EXAMPLE[0].shape[1:])
        with torch.no_grad():
            small = GraphModel(slice_graph(prepared.graph, keep)).eval()(x)
            whole = GraphModel(masked(prepared.graph, keep)).eval()(x)
        torch.testing.assert_close(small, whole, rtol=0, atol=1e-5)
