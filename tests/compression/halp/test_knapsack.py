from __future__ import annotations

import functools
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hwaware.compression.halp.knapsack import solve
from hwaware.compression.halp.steps import MOST, candidates
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import BudgetError
from tests.compression.morphnets import NETS, Chain, Concat, Depthwise, Residual, prepare
from tests.compression.tables import Formula, staircase


@functools.cache
def costs_of(net: type[nn.Module]) -> WidthCosts:
    return prepare(net, Formula(staircase)).costs


def saliencies(costs: WidthCosts, seed: int) -> dict[str, list[float]]:
    chance = random.Random(seed)  # noqa: S311
    return {name: sorted((chance.random() for _ in range(size)), reverse=True) for name, size in costs.full.items()}


def kept(saliency: dict[str, list[float]], widths: dict[str, int]) -> float:
    return sum(sum(saliency[name][:width]) for name, width in widths.items())


@pytest.mark.parametrize("net", [Chain, Residual, Depthwise])
@given(share=st.floats(0.2, 0.95), seed=st.integers(0, 5))
@settings(max_examples=8, deadline=None)
def test_it_keeps_as_much_as_brute_force_over_the_same_widths(net: type[nn.Module], share: float, seed: int) -> None:
    """Where no group vanishes, every cost is a sum of pairs and the answer exact."""
    costs = costs_of(net)
    saliency = saliencies(costs, seed)
    limits = {"latency": share * costs.latency(costs.full)}
    if not costs.meets(costs.least(), limits):
        return
    choices = {name: candidates(costs, name, costs.full) for name in costs.full}
    best = max(
        kept(saliency, widths)
        for each in itertools.product(*choices.values())
        if costs.meets(widths := dict(zip(choices, each, strict=True)), limits)
    )
    found = solve(costs, saliency, limits)
    assert costs.meets(found, limits)
    exact = not any(costs.can_vanish(name) for name in costs.full)
    assert kept(saliency, found) >= (1 - 1e-6 if exact else 0.9) * best


@pytest.mark.parametrize("net", NETS)
@given(share=st.floats(0.1, 1.0), seed=st.integers(0, 5), cost=st.sampled_from(["latency", "size", "memory", "flops"]))
@settings(max_examples=6, deadline=None)
def test_it_never_breaks_a_limit(net: type[nn.Module], share: float, seed: int, cost: str) -> None:
    """Also behind a concatenation, where an operation depends on three groups."""
    costs = costs_of(net)
    limits = {cost: share * costs.cost(cost, costs.full)}
    try:
        found = solve(costs, saliencies(costs, seed), limits)
    except BudgetError:
        assert not costs.meets(costs.least(), limits)
        return
    assert costs.meets(found, limits)
    assert all(0 <= width <= costs.full[name] for name, width in found.items())


def test_a_larger_budget_keeps_no_less() -> None:
    costs = costs_of(Residual)
    saliency = saliencies(costs, 1)
    whole = costs.latency(costs.full)
    worth = [kept(saliency, solve(costs, saliency, {"latency": share * whole})) for share in (0.4, 0.5, 0.7, 0.9, 1.0)]
    assert worth == sorted(worth)


def test_what_was_pruned_stays_pruned() -> None:
    costs = costs_of(Chain)
    most = {"0.0": 10, "2.0": 7}
    found = solve(costs, saliencies(costs, 0), {"latency": 0.9 * costs.latency(most)}, most)
    assert all(width <= most[name] for name, width in found.items())


def test_a_budget_nothing_is_within_is_one_line() -> None:
    costs = costs_of(Concat)
    with pytest.raises(BudgetError, match="no widths keep latency within the budget") as caught:
        solve(costs, saliencies(costs, 0), {"latency": 1e-9})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("net", NETS)
def test_candidates_are_tops_of_steps(net: type[nn.Module]) -> None:
    """Between two of them a width costs what the next does, so leaving it out loses nothing."""
    costs = costs_of(net)
    for name, size in costs.full.items():
        widths = candidates(costs, name, costs.full)
        assert widths == sorted(set(widths))
        assert widths[-1] == size
        assert len(widths) <= MOST + 1
