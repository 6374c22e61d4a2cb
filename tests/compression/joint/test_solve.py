"""The solver beside brute force over all assignments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwaware.compression.joint import elimination
from hwaware.compression.joint.problem import LATENCY, LOSS, Choice, Group, Problem
from hwaware.compression.joint.solve import Solution, Solver, solve
from hwaware.errors import BudgetError
from tests.compression.joint.problems import ENERGY, METERS, Drawn, drawn, every, kept

SEEDS = st.integers(0, 10**6)


def least_loss(case: Drawn) -> float | None:
    _, costs = every(case.problem)
    inside = kept(costs, case.limits)
    return float(costs[LOSS][inside].min()) if inside.any() else None


def solved(case: Drawn) -> Solution | None:
    try:
        return solve(case.problem, case.limits)
    except BudgetError:
        return None


@given(seed=SEEDS)
@settings(max_examples=200, deadline=None)
def test_the_answer_is_the_best_of_all_assignments_within_the_limits(seed: int) -> None:
    """And refused is what no assignment keeps, nothing else."""
    case = drawn(seed)
    least, found = least_loss(case), solved(case)
    assert (found is None) == (least is None)
    if found is not None:
        assert found.loss == pytest.approx(least, rel=1e-9, abs=1e-11)
        assert found.gap <= 1e-8
        it_keeps_the_limits_and_says_what_its_choices_cost(case, found)
        of_equal_losses_it_has_the_least_latency(case, found)


def it_keeps_the_limits_and_says_what_its_choices_cost(case: Drawn, found: Solution) -> None:
    chosen, costs = every(case.problem)
    at = (chosen == [found.chosen[group.name] for group in case.problem.groups]).all(axis=1)
    assert kept(costs, case.limits)[at].all()
    assert found.loss == pytest.approx(costs[LOSS][at].item())
    assert found.costs == pytest.approx({meter: costs[meter][at].item() for meter in case.problem.meters})
    paid = {meter: sum(each.cost for each in found.borders if each.meter == meter) for meter in (LOSS, LATENCY, ENERGY)}
    for meter, borders in paid.items():
        own = [g.choices[found.chosen[g.name]] for g in case.problem.groups]
        alone = sum(choice.loss if meter == LOSS else choice.costs.get(meter, 0.0) for choice in own)
        assert alone + borders + case.problem.constants[meter] == pytest.approx(costs[meter][at].item())


def of_equal_losses_it_has_the_least_latency(case: Drawn, found: Solution) -> None:
    _, costs = every(case.problem)
    tied = kept(costs, case.limits) & (costs[LOSS] <= found.loss + 1e-11)
    assert found.costs[LATENCY] == pytest.approx(costs[LATENCY][tied].min(), rel=1e-9, abs=1e-9)


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_edges_left_out_of_too_large_tables_change_no_answer(seed: int) -> None:
    case = drawn(seed)
    before = elimination.MOST_ENTRIES
    elimination.MOST_ENTRIES = 6
    try:
        found = solved(case)
    finally:
        elimination.MOST_ENTRIES = before
    least = least_loss(case)
    assert (None if found is None else found.loss) == (least if least is None else pytest.approx(least, abs=1e-11))


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_a_solver_used_again_answers_as_a_new_one(seed: int) -> None:
    case = drawn(seed)
    _, costs = every(case.problem)
    assume(len(costs[LOSS]) > 0)
    solver = Solver(case.problem, METERS)
    for share in (0.5, 0.1, 0.9, 0.3):
        limits = {meter: float(np.quantile(costs[meter], share)) for meter in METERS}
        found = solver.found(limits)
        least = least_loss(Drawn(case.problem, limits))
        assert (None if found is None else found.loss) == (least if least is None else pytest.approx(least, abs=1e-11))


def test_costs_of_very_different_units_are_solved_as_exactly() -> None:
    """Seconds beside bytes, and losses whose differences are a millionth of them."""
    chance = np.random.default_rng(0)
    groups = tuple(
        Group(
            f"g{number}",
            tuple(
                Choice(str(i), 1 + 1e-6 * float(chance.random()), {"seconds": 1e-6 * s, "bytes": 1e9 * b})
                for i, (s, b) in enumerate(chance.random((4, 2)).tolist())
            ),
        )
        for number in range(6)
    )
    problem = Problem(groups)
    _, costs = every(problem)
    limits = {meter: float(np.quantile(costs[meter], 0.05)) for meter in ("seconds", "bytes")}
    assert solve(problem, limits).loss == pytest.approx(costs[LOSS][kept(costs, limits)].min(), rel=1e-13)


def test_a_limit_must_be_a_number_on_a_meter_of_the_problem() -> None:
    problem = Problem((Group("g", (Choice("a", 1.0, {LATENCY: 1.0}),)),))
    with pytest.raises(ValueError, match="no meter energy; there are latency"):
        solve(problem, {"energy": 1.0})
    with pytest.raises(ValueError, match="a limit of nan on latency"):
        solve(problem, {LATENCY: float("nan")})
    with pytest.raises(ValueError, match="limits are numbers, on energy"):
        Solver(Problem((Group("g", (Choice("a", 1.0, {ENERGY: 1.0}),)),), constants={LATENCY: 1.0}), (ENERGY,)).found(
            {LATENCY: 1.0}
        )


def test_without_limits_the_least_loss_of_all_is_taken() -> None:
    choices = (Choice("a", 2.0, {LATENCY: 1.0}), Choice("b", 1.0, {LATENCY: 9.0}), Choice("c", 1.0, {LATENCY: 5.0}))
    assert solve(Problem((Group("g", choices),)), {}).chosen == {"g": 2}
