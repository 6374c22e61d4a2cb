"""One choice for each group: the least predicted loss within limits on latency, peak memory, size or any other meter.

A multiple-choice knapsack whose items also cost by pairs (Sinha and Zoltners 1979 without the pairs), solved exactly:
bounds remove what cannot be in the best assignment, an integer program decides the rest (`minimise`). Of assignments
of the same loss the one with the least latency is taken, by a second program in which the loss has a limit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hwaware.compression.joint.build import Row, form_of, rows_of
from hwaware.compression.joint.dominance import undominated
from hwaware.compression.joint.form import FloatArray
from hwaware.compression.joint.minimise import minimised
from hwaware.compression.joint.problem import LATENCY, LOSS, BorderCost, Problem
from hwaware.compression.joint.reach import refusal


@dataclass(frozen=True)
class Solution:
    """The best choice of each group, by position, what it costs, and the limits it was found within.

    What is not proved to be the best is an error, so that `gap`, by how much a lower loss is not excluded, is no more
    than the integer program's tolerance: 0, or 1e-9 of what bounds before it have left.
    """

    chosen: Mapping[str, int]
    loss: float
    costs: Mapping[str, float]  # by meter
    borders: tuple[BorderCost, ...]  # those that cost anything
    limits: Mapping[str, float]
    gap: float


def solve(problem: Problem, limits: Mapping[str, float], ties: str = LATENCY) -> Solution:
    """The choices of least loss with each meter of `limits` at most its limit, proved to be so.

    A limit counts as kept up to a relative 1e-9. Of choices whose loss is the same to 1e-9 those with the least of
    the meter `ties` are taken, where that is a sum. Raises BudgetError, with the nearest reachable budgets, where no
    choices are within the limits; ValueError for a limit on a meter the problem does not have.
    """
    return Solver(problem, tuple(limits), ties).solve(limits)


class Solver:
    """A problem prepared for many limits on the same meters."""

    def __init__(self, problem: Problem, meters: tuple[str, ...], ties: str = LATENCY) -> None:
        unknown = [meter for meter in meters if meter not in problem.meters]
        if unknown:
            raise ValueError(f"no meter {', '.join(unknown)}; there are {', '.join(problem.meters) or 'none'}")
        self.problem = problem
        self._meters = meters
        breaks = [ties] if ties in problem.meters and ties not in problem.peaks else []
        limited = [row for meter in meters for row in rows_of(problem, meter)]
        self._rows = list(dict.fromkeys([Row(LOSS), *map(Row, breaks), *limited]))
        self._ties = len(breaks)
        form = form_of(problem, self._rows)
        self._form = None if form is None else undominated(form)
        self._weights: FloatArray | None = None

    def solve(self, limits: Mapping[str, float]) -> Solution:
        """As `solve` does; `limits` are on meters that were named."""
        found = self.found(limits)
        if found is None:
            raise refusal(self.problem, limits)
        return found

    def found(self, limits: Mapping[str, float]) -> Solution | None:
        """The same; None where nothing is within the limits."""
        for meter, limit in limits.items():
            if meter not in self._meters or not limit > -np.inf:
                raise ValueError(f"a limit of {limit} on {meter}; limits are numbers, on {', '.join(self._meters)}")
        highs = np.array([limits.get(row.meter, np.inf) for row in self._rows])
        if self._form is None:
            return None
        found = minimised(self._form, 0, highs, weights=self._weights)
        if found is None:
            return None
        self._weights = found.weights
        chosen = found.chosen
        if self._ties:
            highs[0] = found.value
            tied = minimised(found.core, 1, highs, chosen)
            assert tied is not None
            chosen = tied.chosen
        choices = {group.name: int(place) for group, place in zip(self.problem.groups, chosen, strict=True)}
        costs = {meter: self.problem.cost(meter, choices) for meter in self.problem.meters}
        borders = tuple(paid for paid in self.problem.paid(choices) if paid.cost)
        return Solution(choices, self.problem.cost(LOSS, choices), costs, borders, dict(limits), found.gap)
