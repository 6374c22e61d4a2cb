"""Laws that every kind of channel values obeys, and what is particular to each."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compression.channel_values import GATE, KINDS, LASSO, channel_values, shrinkable
from hwaware.compression.gates import START, GateValues
from hwaware.compression.lasso import LassoValues, produced
from hwaware.graph.channels import channel_groups
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked, slice_graph
from tests.compression.morphnets import EXAMPLE, NETS, Concat, Residual, captured, prepare
from tests.compression.tables import Formula, staircase


class Plain(nn.Sequential):
    """No BatchNorm, a sigmoid that is not 0 at 0, and a dense layer over a flattened map."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1), nn.Sigmoid(), nn.Conv2d(8, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(216, 4)
        )


ALL = (*NETS, Plain)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "gamma"])
@pytest.mark.parametrize("net", ALL)
def test_held_channels_can_be_cut_out(net: type[nn.Module], kind: str) -> None:
    """After any training: what is held at zero and folded in is what slicing removes."""
    torch.manual_seed(0)
    graph = captured(net)
    groups, _ = shrinkable(graph, channel_groups(graph), kind)
    model = GraphModel(graph, EXAMPLE)
    channels = channel_values(kind, model, groups)
    keep = {group.name: sorted(torch.randperm(group.size)[: group.size // 2].tolist()) for group in groups}
    alive = {group.name: torch.zeros(group.size, dtype=torch.bool) for group in groups}
    for name, kept in keep.items():
        alive[name][kept] = True
    stepper = torch.optim.SGD(channels.trained.parameters(), lr=0.05, momentum=0.9)
    x = torch.randn(16, *EXAMPLE[0].shape[1:])
    for _ in range(3):
        stepper.zero_grad()
        loss = channels.trained.train()(x).square().mean()
        (loss + sum(value.sum() for value in channels.values().values())).backward()
        stepper.step()
        with torch.no_grad():
            channels.hold(alive)
    done = channels.finished(model.graph)
    with torch.no_grad():
        trained = channels.trained.eval()(x)
        small = GraphModel(slice_graph(done, keep)).eval()(x)
        whole = GraphModel(masked(done, keep)).eval()(x)
    torch.testing.assert_close(small, whole, rtol=0, atol=1e-5)
    torch.testing.assert_close(small, trained, rtol=0, atol=1e-5)
    for name, levels in channels.levels().items():
        assert (levels[~alive[name]] <= 0).all()


@pytest.mark.parametrize("kind", [LASSO, GATE])
def test_revived_channels_are_as_they_were(kind: str) -> None:
    prepared = prepare(Residual, Formula(staircase), kind)
    before = {name: tensor.clone() for name, tensor in prepared.graph.tensors.items()}
    dead = {name: torch.zeros(size, dtype=torch.bool) for name, size in prepared.costs.full.items()}
    with torch.no_grad():
        prepared.channels.hold(dead)
    done = prepared.channels.finished(prepared.model.graph)
    whole = {name: list(range(size)) for name, size in prepared.costs.full.items()}
    again = prepared.channels.revived(done, prepared.graph, whole)
    for name, tensor in before.items():
        torch.testing.assert_close(again.tensors[name], tensor)


def test_lasso_is_the_norm_of_what_makes_a_channel() -> None:
    """(1 - f)·√mean(w²) + f·mean|w|, the largest of the layers that make it, over the group's mean."""
    graph = captured(Residual)
    group = next(group for group in channel_groups(graph) if group.name == "stem.0")
    assert produced(graph, group) == {("stem.0.weight", 0), ("second.0.weight", 0), ("itself.0.weight", 0)}
    for mix in (0.0, 0.3):
        rows = [graph.tensors[name].flatten(1) for name, _ in sorted(produced(graph, group))]
        each = [(1 - mix) * row.square().mean(1).sqrt() + mix * row.abs().mean(1) for row in rows]
        wanted = torch.stack(each).amax(0)
        found = LassoValues(GraphModel(graph), [group], mix).values()["stem.0"]
        torch.testing.assert_close(found, wanted / wanted.mean())


def test_lasso_has_a_gradient_where_all_weights_are_zero() -> None:
    graph = captured(Plain)
    groups, _ = shrinkable(graph, channel_groups(graph), LASSO)
    model = GraphModel(graph)
    channels = LassoValues(model, groups)
    with torch.no_grad():
        channels.hold({group.name: torch.zeros(group.size, dtype=torch.bool) for group in groups})
    sum(value.sum() for value in channels.values().values()).backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_gates_open_and_close_as_often_as_they_say() -> None:
    """The mask is drawn from the logistic distribution: the share of open gates is σ(logit)."""
    torch.manual_seed(0)
    graph = captured(Residual)
    groups, _ = shrinkable(graph, channel_groups(graph), GATE)
    channels = GateValues(GraphModel(graph, EXAMPLE), groups)
    gated = channels.trained.train()
    drawn = torch.cat([torch.cat(list(gated.masks().values())) for _ in range(400)])
    chance = torch.sigmoid(torch.tensor(START))
    assert ((drawn < 0.01) | (drawn > 0.99)).float().mean() > 0.99
    assert (drawn > 0.1).float().mean() == pytest.approx(float(chance), abs=0.02)
    evaluated = gated.eval().masks()
    assert all(torch.allclose(mask, chance) for mask in evaluated.values())


def test_a_gate_over_a_concatenation_acts_on_its_slice() -> None:
    prepared = prepare(Concat, Formula(staircase), GATE)
    alive = {name: torch.ones(size, dtype=torch.bool) for name, size in prepared.costs.full.items()}
    alive["right"][3] = False
    with torch.no_grad():
        prepared.channels.hold(alive)
    reader = prepared.channels.finished(prepared.model.graph).tensors["last.0.weight"]
    assert torch.nonzero((reader == 0).all(3).all(2).all(0)).flatten().tolist() == [8 + 3]
