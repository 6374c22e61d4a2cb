from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compression.channel_values import GAMMA, shrinkable
from hwaware.compression.gamma import named, scale_values
from hwaware.compression.meters import METERS, Roof, flops, traffic
from hwaware.compression.regulariser import BY_LIMITS, Regulariser, penalty
from hwaware.compression.slopes import channel_costs
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import BudgetError, ModelError
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from tests.compression.morphnets import EXAMPLE, NETS, Chain, Concat, Depthwise, Residual, prepare
from tests.compression.tables import Formula, multiply_adds, staircase


@pytest.mark.parametrize("cost", METERS)
def test_gradient_of_a_channel_value_is_the_cost_of_that_channel(cost: str) -> None:
    """∂G/∂r = cost(n) - cost(n-1), exactly, by finite differences against the table, for every cost that has no steps.

    With steps it is the mean over the channels of the step: of each operation's for size, which is packed to vectors;
    of half the group's for memory, whose plan moves in jumps.
    """
    prepared = prepare(Chain, Formula(multiply_adds))
    costs = prepared.costs
    penalty(prepared.channels.values(), channel_costs(costs, costs.full, cost)).backward()
    model = prepared.model
    for name, scale in {"0.0": model.get_parameter("0.1.weight"), "2.0": model.get_parameter("2.1.weight")}.items():
        marginal = difference(costs, cost, name)
        assert marginal > 0
        assert scale.grad is not None
        expected = marginal * scale.detach().sign()
        torch.testing.assert_close(scale.grad, expected, rtol=1e-6, atol=0)


def difference(costs: WidthCosts, cost: str, name: str) -> float:
    """What a channel of a group adds to a cost at full width, by differences alone."""
    width = costs.full[name]
    narrower = [{**costs.full, name: lower} for lower in range(width - 1, 0, -1)]
    if cost == "memory":
        return (costs.cost(cost, costs.full) - costs.cost(cost, {**costs.full, name: width // 2})) / (
            width - width // 2
        )
    if cost != "size":
        return costs.cost(cost, costs.full) - costs.cost(cost, narrower[0])
    outline, total = costs.outline(costs.full), 0.0
    for op in outline.ops:
        here = costs.op_cost(cost, outline, op, costs.full)
        falls = [(here - costs.op_cost(cost, outline, op, widths), widths) for widths in narrower if name in op.units]
        first = next(((fall, widths) for fall, widths in falls if fall > 0), None)
        total += 0.0 if first is None else first[0] / (width - first[1][name])
    return total


def test_coupled_scales_share_the_largest() -> None:
    prepared = prepare(Residual, Formula(multiply_adds))
    parameters = named(prepared.model)
    stream = [parameters[source.weight] for source in prepared.sources["stem.0"]]
    assert len(stream) == 3  # stem, second block's last, third
    values = scale_values(parameters, prepared.sources["stem.0"], 16)
    torch.testing.assert_close(values, torch.stack(stream).abs().amax(0))
    values.sum().backward()
    reached = torch.stack([scale.grad for scale in stream if scale.grad is not None]).abs().sum(0)
    torch.testing.assert_close(reached, torch.ones(16))


def test_a_norm_over_a_concatenation_is_shared_out_by_channel() -> None:
    prepared = prepare(Concat, Formula(multiply_adds))
    scale = named(prepared.model)["norm.weight"].detach().abs()
    for name, part in {"left": scale[:8], "right": scale[8:]}.items():
        values = scale_values(named(prepared.model), prepared.sources[name], len(part))
        torch.testing.assert_close(values.detach(), part)


def test_both_filters_of_a_depthwise_channel_count() -> None:
    prepared = prepare(Depthwise, Formula(multiply_adds))
    parameters = named(prepared.model)
    first, depth = (parameters[name].detach().abs() for name in ("first.1.weight", "depth.1.weight"))
    values = scale_values(parameters, prepared.sources["first.0"], 8).detach()
    torch.testing.assert_close(values, torch.maximum(first, depth.reshape(8, 2).amax(1)))


def test_negative_scales_count_by_size() -> None:
    prepared = prepare(Chain, Formula(multiply_adds))
    with torch.no_grad():
        named(prepared.model)["0.1.weight"].neg_()
    assert (scale_values(named(prepared.model), prepared.sources["0.0"], 16) > 0).all()


@pytest.mark.parametrize("net", NETS)
def test_every_group_but_the_output_is_found(net: type[nn.Module]) -> None:
    prepared = prepare(net, Formula(multiply_adds))
    names = {group.name for group in channel_groups(prepared.graph)}
    assert set(prepared.sources) | set(prepared.fixed) == names
    assert prepared.fixed == {next(iter(names & {"fc", "6"})): "an output of the model"}


def test_without_batch_norm_it_is_an_error_and_not_a_silent_zero() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4)).eval()
    graph = capture_batched(net, EXAMPLE)
    with pytest.raises(ModelError, match="BatchNorm") as caught:
        shrinkable(graph, channel_groups(graph), GAMMA)
    assert "no BatchNorm scales its channels" in str(caught.value)
    free, _ = shrinkable(graph, channel_groups(graph))
    assert [group.name for group in free] == ["0"]


def test_groups_without_batch_norm_are_named_beside_those_with() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(96, 4))
    graph = capture_batched(net.eval(), EXAMPLE)
    free, fixed = shrinkable(graph, channel_groups(graph), GAMMA)
    assert [group.name for group in free] == ["0"]
    assert fixed["2"] == "no BatchNorm scales its channels"


def test_only_costs_above_their_limit_count() -> None:
    costs = prepare(Residual, Formula(staircase)).costs
    whole = costs.costs(costs.full)
    met = {"latency": whole.latency, "size": whole.size}
    assert not any(BY_LIMITS.slopes(costs, costs.full, met).values())
    slow = BY_LIMITS.slopes(costs, costs.full, {**met, "latency": 0.5 * whole.latency})
    large = BY_LIMITS.slopes(costs, costs.full, {**met, "size": 0.5 * whole.size})
    both = BY_LIMITS.slopes(costs, costs.full, {"latency": 0.5 * whole.latency, "size": 0.5 * whole.size})
    for name in costs.full:
        assert slow[name] > 0
        assert large[name] > 0
        assert both[name] == pytest.approx(slow[name] + large[name])


def test_a_group_at_the_narrowest_width_is_worth_nothing_more() -> None:
    costs = prepare(Chain, Formula(staircase)).costs
    narrow = {**costs.full, "0.0": costs.floor["0.0"]}
    worth = BY_LIMITS.slopes(costs, narrow, {"latency": 1e-9})
    assert worth["0.0"] == 0
    assert worth["2.0"] > 0


def test_a_weighted_sum_is_the_sum_of_its_parts() -> None:
    costs = prepare(Residual, Formula(staircase)).costs
    mixed = Regulariser.parse("latency=2, flops=0.5,memory=1").slopes(costs, costs.full, {})
    parts = {name: channel_costs(costs, costs.full, name) for name in ("latency", "flops", "memory")}
    for name in costs.full:
        expected = sum(
            weight * parts[cost][name] / costs.cost(cost, costs.full)
            for cost, weight in (("latency", 2), ("flops", 0.5), ("memory", 1))
        )
        assert mixed[name] == pytest.approx(expected)


@pytest.mark.parametrize("text", ["speed", "latency=0", "latency=-1", "latency,latency", "latency=x", "flops=nan"])
def test_a_regulariser_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(BudgetError, match=r"like latency=1,size=0\.2") as caught:
        Regulariser.parse(text)
    assert "\n" not in str(caught.value)


def test_the_roofline_switches_branch_at_the_crossover() -> None:
    """Below it bytes bound an operation, above it arithmetic does; the slope is that of the bound alone."""
    costs = prepare(Chain, Formula(multiply_adds)).costs
    work = next(op.workload for op in costs.outline(costs.full).program.ops if flops(op.workload))
    intensity = flops(work) / traffic(work)
    below, above = Roof(intensity * 0.9, 1.0), Roof(intensity * 1.1, 1.0)
    assert below.latency(work) == flops(work) / below.flops > traffic(work) / below.bytes
    assert above.latency(work) == traffic(work) / above.bytes > flops(work) / above.flops
