from __future__ import annotations

import copy

import pytest
import torch

from hwaware.compression.gamma import named
from hwaware.compression.shrink import Shrinker
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked, slice_graph
from tests.compression.morphnets import EXAMPLE, NETS, Prepared, Residual, prepare
from tests.compression.tables import Formula, staircase


def shrinker_of(prepared: Prepared, share: float, steps: int = 40) -> Shrinker:
    limits = {"latency": share * prepared.costs.latency(prepared.costs.full)}
    return Shrinker(prepared.channels, prepared.costs, limits, steps)


def descend(shrinker: Shrinker, steps: int, pull: float = 0.0, lr: float = 0.05) -> None:
    """Training where the data pulls every channel value up by `pull`."""
    model = shrinker.channels.trained
    stepper = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    for _ in range(steps):
        stepper.zero_grad()
        data = -pull * torch.stack([value.sum() for value in shrinker.channels.values().values()]).sum()
        (shrinker.extra_loss(model) + data).backward()
        stepper.step()
        shrinker.after_step(model)


@pytest.mark.parametrize("share", [0.9, 0.6, 0.4])
@pytest.mark.parametrize("pull", [0.0, 0.01, 1.0])
def test_strength_adapts_until_the_budget_is_met(share: float, pull: float) -> None:
    """Whether the data resists or not, by a factor of a hundred."""
    shrinker = shrinker_of(prepare(Residual, Formula(staircase)), share)
    descend(shrinker, 40, pull)
    limit = shrinker.limits["latency"]
    assert 0.7 * limit <= shrinker.costs.latency(shrinker.costs.nearest(shrinker.widths())) <= limit
    assert shrinker.strength == 0
    assert shrinker.history[-1].distance == 0


def test_units_of_cost_do_not_matter() -> None:
    histories = []
    for scale in (1.0, 1e6):
        source = Formula(lambda work, scale=scale: scale * staircase(work))
        shrinker = shrinker_of(prepare(Residual, source), 0.6)
        descend(shrinker, 40)
        histories.append([(tick.strength, tick.alive) for tick in shrinker.history])
    assert histories[0] == histories[1]


def test_dead_channels_are_held_at_zero_and_the_living_are_not() -> None:
    prepared = prepare(Residual, Formula(staircase))
    shrinker = shrinker_of(prepared, 0.5)
    descend(shrinker, 40)
    parameters = named(prepared.model)
    assert not all(alive.all() for alive in shrinker.alive.values())
    for name, found in prepared.sources.items():
        for source in found:
            dead = ~shrinker.alive[name]
            assert source.bias is not None
            assert (parameters[source.weight][dead] == 0).all()
            assert (parameters[source.bias][dead] == 0).all()
            assert (parameters[source.weight][~dead] != 0).all()


def test_finish_buries_the_rest_in_order() -> None:
    """A phase that was too short: what must still go goes, the smallest r a worth first."""
    shrinker = shrinker_of(prepare(Residual, Formula(staircase)), 0.5)
    assert shrinker.distance() > 0
    widths = shrinker.finish()
    assert shrinker.costs.latency(widths) <= shrinker.limits["latency"]
    importance = shrinker.importance()
    for name, alive in shrinker.alive.items():
        if alive.any() and not alive.all():
            assert importance[name][alive].min() > importance[name][~alive].max()


def test_a_group_that_cannot_vanish_keeps_what_the_table_needs() -> None:
    shrinker = shrinker_of(prepare(NETS[0], Formula(staircase)), 0.01)
    widths = shrinker.finish()
    assert widths == shrinker.costs.floor


@pytest.mark.parametrize("net", NETS)
def test_sliced_equals_masked_after_shrinking(net: type[torch.nn.Module]) -> None:
    """Residual stream, concatenation and depthwise multiplier 2 lose the same channels everywhere."""
    prepared = prepare(net, Formula(staircase))
    shrinker = shrinker_of(prepared, 0.5)
    descend(shrinker, 40)
    shrinker.finish()
    kept = {name: torch.nonzero(alive).flatten().tolist() for name, alive in shrinker.alive.items()}
    assert any(len(indices) < prepared.costs.full[name] for name, indices in kept.items())
    graph = prepared.model.graph
    x = torch.randn(4, *EXAMPLE[0].shape[1:], generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        small, whole = (GraphModel(part).eval()(x) for part in (slice_graph(graph, kept), masked(graph, kept)))
    torch.testing.assert_close(small, whole, rtol=0, atol=1e-5)


def test_a_budget_that_is_met_changes_nothing() -> None:
    prepared = prepare(Residual, Formula(staircase))
    before = copy.deepcopy(prepared.model.state_dict())
    descend(shrinker_of(prepared, 1.0), 5)
    after = prepared.model.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
