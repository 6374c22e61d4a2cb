from __future__ import annotations

import itertools

import pytest
import torch
from torch import nn

from hwaware.compression.halp.knapsack import solve
from hwaware.compression.halp.steps import candidates
from tests.compression.halp.test_knapsack import costs_of, kept, saliencies
from tests.compression.halp.test_prune import pruner_of
from tests.compression.morphnets import EXAMPLE, Concat, Depthwise, Residual, prepare
from tests.compression.tables import Formula, staircase


@pytest.mark.parametrize(
    ("net", "cost", "share"),
    [
        (Residual, "memory", 0.55),
        (Concat, "latency", 0.35),
        (Concat, "size", 0.35),
        (Depthwise, "memory", 0.35),
        (Depthwise, "memory", 0.45),
    ],
)
def test_costs_that_are_no_sum_of_pairs_do_not_end_at_the_narrowest_widths(
    net: type[nn.Module], cost: str, share: float
) -> None:
    """The estimate is off by a few percent here; nearly all that any widths keep is kept all the same."""
    costs = costs_of(net)
    saliency, limits = saliencies(costs, 0), {cost: share * costs.cost(cost, costs.full)}
    choices = {name: candidates(costs, name, costs.full) for name in costs.full}
    best = max(
        kept(saliency, widths)
        for each in itertools.product(*choices.values())
        if costs.meets(widths := dict(zip(choices, each, strict=True)), limits)
    )
    found = solve(costs, saliency, limits)
    assert costs.meets(found, limits)
    assert kept(saliency, found) >= 0.8 * best


def test_gradients_that_overflowed_do_not_count() -> None:
    """Where a scaler skipped the step, what they say of a channel is no number."""
    prepared = prepare(Residual, Formula(staircase))
    pruner = pruner_of(prepared, 0.6, 40)
    for parameter in prepared.model.parameters():
        parameter.grad = torch.full_like(parameter, float("inf"))
    pruner.after_step(prepared.model)
    assert pruner.saliency.batches == 0
    prepared.model.zero_grad()
    prepared.model(*EXAMPLE).square().mean().backward()
    pruner.after_step(prepared.model)
    assert all(value.isfinite().all() for value in pruner.saliency.values().values())
    assert prepared.costs.meets(pruner.finish(), pruner.limits)
