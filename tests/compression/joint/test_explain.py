from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwaware.compression.joint.explain import explain
from hwaware.compression.joint.problem import LATENCY, LOSS, Border, Choice, Group, Problem
from hwaware.compression.joint.solve import solve
from hwaware.errors import BudgetError
from tests.compression.joint.problems import drawn, every

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_an_alternatives_change_is_what_all_costs_change_by(seed: int) -> None:
    case = drawn(seed)
    assume(case.limits)
    try:
        found = solve(case.problem, case.limits)
    except BudgetError:
        assume(False)
        return
    chosen, costs = every(case.problem)
    names = [group.name for group in case.problem.groups]
    explained = explain(case.problem, found, next(iter(case.limits)))
    assert [group.name for group in explained.groups] == names
    for group in explained.groups:
        assert set(group.chosen.change.values()) == {0.0}
        labels = [choice.label for choice in case.problem.groups[names.index(group.name)].choices]
        assert sorted([group.chosen.label, *(each.label for each in group.alternatives)]) == labels
        for option in group.alternatives:
            changed = {**found.chosen, group.name: labels.index(option.label)}
            at = (chosen == [changed[name] for name in names]).all(axis=1)
            if not at.any():
                assert np.inf in option.change.values()
                continue
            for meter, change in option.change.items():
                before = found.loss if meter == LOSS else found.costs[meter]
                assert before + change == pytest.approx(costs[meter][at].item(), abs=1e-9)


def test_a_larger_budget_names_the_groups_it_changes() -> None:
    choices = (Choice("int8", 1.0, {LATENCY: 1.0}), Choice("float32", 0.0, {LATENCY: 2.0}))
    border = Border("g", "h", LATENCY, np.array([[0.0, 0.25], [0.25, 0.0]]))
    problem = Problem((Group("g", choices), Group("h", choices)), (border,))
    found = solve(problem, {LATENCY: 3.0})
    explained = explain(problem, found, LATENCY, 0.1)
    assert (explained.limit, explained.larger) == (3.0, pytest.approx(3.3))
    assert explained.with_more.loss == 1.0
    assert [(change.before, change.after) for change in explained.changes] == [("int8", "float32")]
    alternative = explained.groups[0].alternatives[0]
    assert alternative.change[LATENCY] == 1.25
    assert [paid.cost for paid in alternative.borders] == [0.25]


def test_only_a_meter_with_a_limit_can_have_a_larger_one() -> None:
    problem = Problem((Group("g", (Choice("a", 0.0, {LATENCY: 1.0}),)),))
    with pytest.raises(ValueError, match="no limit on latency; it has on nothing"):
        explain(problem, solve(problem, {}), LATENCY)
