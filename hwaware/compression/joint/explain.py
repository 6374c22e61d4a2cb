"""Why each group has its choice: what the others would have cost in its place, and what a larger budget buys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwaware.compression.joint.problem import LOSS, Border, BorderCost, Group, Problem
from hwaware.compression.joint.solve import Solution, solve


@dataclass(frozen=True)
class Option:
    """One choice of a group where all other groups stay: its own loss and costs, what its borders would cost.

    `change` is by how much the whole's loss and meters would change.
    """

    label: str
    loss: float
    costs: Mapping[str, float]
    borders: tuple[BorderCost, ...]
    change: Mapping[str, float]


@dataclass(frozen=True)
class ExplainedGroup:
    """A group's choice and its alternatives, in the problem's order."""

    name: str
    chosen: Option
    alternatives: tuple[Option, ...]


@dataclass(frozen=True)
class Change:
    """A group that a larger budget gives another choice, by the labels of both."""

    group: str
    before: str
    after: str


@dataclass(frozen=True)
class Explanation:
    """The groups, and the best choices with a larger limit on `meter`."""

    groups: tuple[ExplainedGroup, ...]
    meter: str
    limit: float
    larger: float
    with_more: Solution
    changes: tuple[Change, ...]


def explain(problem: Problem, solution: Solution, meter: str, more: float = 0.10) -> Explanation:
    """`solution`, group by group, and what changes with a limit on `meter` larger by the part `more`.

    Raises ValueError where the solution had no limit on `meter`.
    """
    if meter not in solution.limits:
        raise ValueError(f"the solution has no limit on {meter}; it has on {', '.join(solution.limits) or 'nothing'}")
    limit = solution.limits[meter]
    larger = limit + more * abs(limit)
    richer = solve(problem, {**solution.limits, meter: larger})
    labels = {group.name: [choice.label for choice in group.choices] for group in problem.groups}
    changes = tuple(
        Change(name, labels[name][before], labels[name][richer.chosen[name]])
        for name, before in solution.chosen.items()
        if richer.chosen[name] != before
    )
    groups = tuple(_explained(problem, solution, group) for group in problem.groups)
    return Explanation(groups, meter, limit, larger, richer, changes)


def _explained(problem: Problem, solution: Solution, group: Group) -> ExplainedGroup:
    near = [border for border in problem.borders if group.name in (border.first, border.second)]
    here = solution.chosen[group.name]
    before = _own(problem, solution.chosen, group, here, near)
    options = []
    for place, choice in enumerate(group.choices):
        chosen = {**solution.chosen, group.name: place}
        own = _own(problem, chosen, group, place, near)
        change = {meter: own[meter] - before[meter] for meter in own}
        options.append(Option(choice.label, choice.loss, choice.costs, tuple(b.paid(chosen) for b in near), change))
    return ExplainedGroup(group.name, options[here], tuple(options[:here] + options[here + 1 :]))


def _own(
    problem: Problem, chosen: Mapping[str, int], group: Group, place: int, near: Sequence[Border]
) -> dict[str, float]:
    """Of each sum what a choice and its borders add, all else stays the same; peaks as they are."""
    choice = group.choices[place]
    own = {meter: problem.cost(meter, chosen) for meter in problem.peaks}
    for meter in (LOSS, *(meter for meter in problem.meters if meter not in problem.peaks)):
        paid = (border.paid(chosen).cost for border in near if border.meter == meter)
        own[meter] = math.fsum([choice.loss if meter == LOSS else choice.costs.get(meter, 0.0), *paid])
    return own
