from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compression.gamma import channel_values, named, scale_sources
from hwaware.compression.regulariser import group_slopes, penalty
from hwaware.errors import ModelError
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from tests.compression.morphnets import EXAMPLE, NETS, Chain, Concat, Depthwise, Residual, prepare
from tests.compression.tables import Formula, multiply_adds, staircase


def test_gradient_of_a_channel_value_is_the_cost_of_that_channel() -> None:
    """∂G/∂r = cost(n) - cost(n-1), exactly, by finite differences against the table."""
    prepared = prepare(Chain, Formula(multiply_adds))
    costs = prepared.costs
    slopes = {name: sum(by_op.values()) for name, by_op in costs.slopes(costs.full).items()}
    model = prepared.model
    penalty(named(model), prepared.sources, costs.full, slopes).backward()
    for name, scale in {"0.0": model.get_parameter("0.1.weight"), "2.0": model.get_parameter("2.1.weight")}.items():
        marginal = costs.latency(costs.full) - costs.latency({**costs.full, name: costs.full[name] - 1})
        assert scale.grad is not None
        expected = marginal * scale.detach().sign()
        torch.testing.assert_close(scale.grad, expected, rtol=1e-6, atol=0)


def test_coupled_scales_share_the_largest() -> None:
    prepared = prepare(Residual, Formula(multiply_adds))
    parameters = named(prepared.model)
    stream = [parameters[source.weight] for source in prepared.sources["stem.0"]]
    assert len(stream) == 3  # stem, second block's last, third
    values = channel_values(parameters, prepared.sources["stem.0"], 16)
    torch.testing.assert_close(values, torch.stack(stream).abs().amax(0))
    values.sum().backward()
    reached = torch.stack([scale.grad for scale in stream if scale.grad is not None]).abs().sum(0)
    torch.testing.assert_close(reached, torch.ones(16))


def test_a_norm_over_a_concatenation_is_shared_out_by_channel() -> None:
    prepared = prepare(Concat, Formula(multiply_adds))
    scale = named(prepared.model)["norm.weight"].detach().abs()
    for name, part in {"left": scale[:8], "right": scale[8:]}.items():
        values = channel_values(named(prepared.model), prepared.sources[name], len(part))
        torch.testing.assert_close(values.detach(), part)


def test_both_filters_of_a_depthwise_channel_count() -> None:
    prepared = prepare(Depthwise, Formula(multiply_adds))
    parameters = named(prepared.model)
    first, depth = (parameters[name].detach().abs() for name in ("first.1.weight", "depth.1.weight"))
    values = channel_values(parameters, prepared.sources["first.0"], 8).detach()
    torch.testing.assert_close(values, torch.maximum(first, depth.reshape(8, 2).amax(1)))


def test_negative_scales_count_by_size() -> None:
    prepared = prepare(Chain, Formula(multiply_adds))
    with torch.no_grad():
        named(prepared.model)["0.1.weight"].neg_()
    assert (channel_values(named(prepared.model), prepared.sources["0.0"], 16) > 0).all()


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
        scale_sources(graph, channel_groups(graph))
    assert "no BatchNorm scales its channels" in str(caught.value)


def test_groups_without_batch_norm_are_named_beside_those_with() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(96, 4))
    graph = capture_batched(net.eval(), EXAMPLE)
    sources, fixed = scale_sources(graph, channel_groups(graph))
    assert set(sources) == {"0"}
    assert fixed["2"] == "no BatchNorm scales its channels"


def test_only_costs_above_their_limit_count() -> None:
    costs = prepare(Residual, Formula(staircase)).costs
    whole = costs.costs(costs.full)
    met = {"latency": whole.latency, "size": whole.size}
    assert not any(group_slopes(costs, costs.full, met).values())
    slow = group_slopes(costs, costs.full, {**met, "latency": 0.5 * whole.latency})
    large = group_slopes(costs, costs.full, {**met, "size": 0.5 * whole.size})
    both = group_slopes(costs, costs.full, {"latency": 0.5 * whole.latency, "size": 0.5 * whole.size})
    for name in costs.full:
        assert slow[name] > 0
        assert large[name] > 0
        assert both[name] == pytest.approx(slow[name] + large[name])


def test_a_group_at_the_narrowest_width_is_worth_nothing_more() -> None:
    costs = prepare(Chain, Formula(staircase)).costs
    narrow = {**costs.full, "0.0": costs.floor["0.0"]}
    worth = group_slopes(costs, narrow, {"latency": 1e-9})
    assert worth["0.0"] == 0
    assert worth["2.0"] > 0
