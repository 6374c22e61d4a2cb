from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwaware.compression.joint.problem import LATENCY, LOSS, Choice, Group, Moment, Problem
from hwaware.compression.joint.reach import least
from hwaware.compression.joint.solve import solve
from hwaware.errors import BudgetError
from tests.compression.joint.problems import METERS, drawn, every, kept

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=80, deadline=None)
def test_the_least_of_a_meter_is_that_of_brute_force(seed: int) -> None:
    """A sum or a peak, alone or within limits on the others."""
    case = drawn(seed)
    _, costs = every(case.problem)
    for meter in case.problem.meters:
        others = {name: limit for name, limit in case.limits.items() if name != meter}
        values = costs[meter][kept(costs, others)]
        found = least(case.problem, meter, others)
        assert found == (pytest.approx(values.min(), abs=1e-9) if len(values) else None)


@given(seed=SEEDS)
@settings(max_examples=80, deadline=None)
def test_the_budgets_named_by_a_refusal_can_be_had(seed: int) -> None:
    """Those of a meter out of reach with limits on that alone; those to choose from one by one."""
    case = drawn(seed)
    _, costs = every(case.problem)
    assume(len(costs[LOSS]) > 0)
    chance = np.random.default_rng(seed)
    tight = {meter: float(np.quantile(costs[meter], chance.choice([0.0, 0.05, 0.2]))) for meter in METERS}
    if chance.random() < 0.3:
        tight[LATENCY] -= 1.0
    assume(not kept(costs, tight).any())
    with pytest.raises(BudgetError) as refused:
        solve(case.problem, tight)
    message = str(refused.value)
    if "not together" in message:
        ways = re.findall(r"(\w+) of (-?[\d.]+)", message.split("ask for")[1])
        assert ways or "more of several" in message
        for meter, limit in ways:
            assert solve(case.problem, {**tight, meter: float(limit)}).costs[meter] > tight[meter]
    else:
        for meter, limit in re.findall(r"have a (\w+) of \S+: ask for (-?[\d.]+) or more", message):
            assert solve(case.problem, {meter: float(limit)}).costs[meter] > tight[meter]


CHOICES = (Choice("small", 2.0, {LATENCY: 1.0}), Choice("large", 1.0, {LATENCY: 2.5}))


def test_a_refusal_says_the_least_in_plain_digits() -> None:
    problem = Problem((Group("g", CHOICES), Group("h", CHOICES)), constants={LATENCY: 0.1234564})
    with pytest.raises(BudgetError, match=r"^no choices have a latency of 0\.5: ask for 2\.12346 or more$"):
        solve(problem, {LATENCY: 0.5})


def test_limits_that_exclude_each_other_are_named_with_the_way_out_of_each() -> None:
    memory = (Moment(0.0, {"g": [8e6, 1e6]}),)
    problem = Problem((Group("g", CHOICES),), peaks={"memory": memory})
    with pytest.raises(
        BudgetError,
        match=r"^a latency of 2 and memory of 2000000 can each be had, but not together: "
        r"ask for latency of 2\.5 or memory of 8000000$",
    ):
        solve(problem, {LATENCY: 2.0, "memory": 2e6})


def test_where_nothing_can_be_had_at_all_no_budget_is_named() -> None:
    problem = Problem((Group("g", (Choice("a", 1.0, {LATENCY: float("inf")}),)),))
    for limits in ({}, {LATENCY: 1.0}):
        with pytest.raises(BudgetError, match="every combination of choices has an infinite cost"):
            solve(problem, limits)
