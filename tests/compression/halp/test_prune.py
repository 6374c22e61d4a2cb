from __future__ import annotations

import pytest
import torch

from hwaware.compression.budget import Budget
from hwaware.compression.compress import compress
from hwaware.compression.halp.knapsack import Knapsack
from hwaware.compression.halp.prune import ROUNDS, HalpPruner
from hwaware.compression.halp.saliency import TaylorSaliency
from hwaware.graph.channels import channel_groups
from hwaware.graph.model import GraphModel
from hwaware.graph.slicing import masked
from tests.compression.morphnets import EXAMPLE, NETS, Concat, Prepared, Residual, prepare
from tests.compression.tables import Formula, staircase
from tests.compression.toys import captured, table


def pruner_of(prepared: Prepared, share: float, steps: int) -> HalpPruner:
    limits = {"latency": share * prepared.costs.latency(prepared.costs.full)}
    groups = [group for group in channel_groups(prepared.graph) if group.name in prepared.costs.full]
    return HalpPruner(
        prepared.channels, Knapsack(prepared.costs), limits, TaylorSaliency(prepared.model, groups), steps
    )


def train(pruner: HalpPruner, model: torch.nn.Module, steps: int) -> None:
    stepper = torch.optim.SGD(model.parameters(), lr=0.01)
    random = torch.Generator().manual_seed(0)
    for _ in range(steps):
        stepper.zero_grad()
        x = torch.randn(8, *EXAMPLE[0].shape[1:], generator=random)
        (model.train()(x).square().mean() + pruner.extra_loss(model)).backward()
        stepper.step()
        pruner.after_step(model)


@pytest.mark.parametrize("net", [Residual, Concat])
def test_saliency_is_the_first_order_change_of_the_loss(net: type[torch.nn.Module]) -> None:
    """Against what really happens when a channel's scale and shift are taken back by a little."""
    prepared = prepare(net, Formula(staircase))
    model = GraphModel(prepared.graph, EXAMPLE).eval().double()
    groups = [group for group in channel_groups(prepared.graph) if group.name in prepared.costs.full]
    saliency = TaylorSaliency(model, groups)
    x = torch.randn(4, *EXAMPLE[0].shape[1:], dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def loss() -> torch.Tensor:
        return model(x).square().mean()

    loss().backward()
    saliency.gather()
    here = float(loss().detach())
    little = 1e-6
    for group in groups:
        name = group.name
        for number in (0, group.size - 1):
            before = {key: value.clone() for key, value in model.state_dict().items()}
            with torch.no_grad():
                for source in prepared.sources[name]:
                    at = source.positions[source.classes == number]
                    for tensor in filter(None, (source.weight, source.bias)):
                        model.get_parameter(tensor)[at] *= 1 - little
                changed = abs(float(loss()) - here) / little
            model.load_state_dict(before)
            assert float(saliency.values()[name][number]) == pytest.approx(changed, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("net", NETS)
def test_rounds_end_within_the_limits_and_the_dead_stay_dead(net: type[torch.nn.Module]) -> None:
    prepared = prepare(net, Formula(staircase))
    pruner = pruner_of(prepared, 0.6, 40)
    train(pruner, prepared.model, 40)
    widths = pruner.finish()
    assert len(pruner.history) == ROUNDS
    assert prepared.costs.meets(widths, pruner.limits)
    alive = [tick.alive for tick in pruner.history]
    assert alive == sorted(alive, reverse=True)
    kept = {name: torch.nonzero(alive).flatten().tolist() for name, alive in pruner.alive.items()}
    x = torch.randn(2, *EXAMPLE[0].shape[1:])
    graph = prepared.model.graph
    with torch.no_grad():
        ours, wanted = (GraphModel(each).eval()(x) for each in (graph, masked(graph, kept)))
    torch.testing.assert_close(ours, wanted, rtol=0, atol=1e-5)
    importance = pruner.importance()
    for name, living in pruner.alive.items():
        if living.any() and not living.all():
            assert importance[name][living].min() > importance[name][~living].max()


def test_a_phase_that_is_too_short_ends_within_the_limits_too() -> None:
    prepared = prepare(Residual, Formula(staircase))
    pruner = pruner_of(prepared, 0.5, 400)
    train(pruner, prepared.model, 3)
    assert prepared.costs.meets(pruner.finish(), pruner.limits)


@pytest.mark.parametrize("method", ["halp", "best"])
def test_it_compresses_a_task(method: str) -> None:
    result = compress(captured(), table(), Budget(latency="60%"), method=method, epochs=8)
    assert result.plan.method in ("halp", "morphnet")
    assert result.plan.after.latency <= result.plan.limits["latency"]
    assert result.metric >= result.baseline_metric - 0.05
    if method == "best":
        assert "loss on the training data: morphnet" in result.plan.note
