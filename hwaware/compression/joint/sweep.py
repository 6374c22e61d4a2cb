"""The Pareto front of the loss and one meter: the best choices within each of a row of limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hwaware.compression.joint.problem import Problem
from hwaware.compression.joint.reach import refusal
from hwaware.compression.joint.solve import Solution, Solver


def sweep(
    problem: Problem, meter: str, limits: Iterable[float], others: Mapping[str, float] | None = None
) -> tuple[Solution, ...]:
    """The best choices within each limit on `meter` (and `others` on other meters), the loosest limit first.

    Without those that another has no more loss than and no more of `meter`; limits out of reach are left out. Raises
    BudgetError where all of them are.
    """
    others = {name: limit for name, limit in (others or {}).items() if name != meter}
    solver = Solver(problem, (meter, *others), ties=meter)
    found: list[Solution] = []
    for limit in sorted(limits, reverse=True):
        if found and found[-1].costs[meter] <= limit:
            continue  # the best within a looser limit is the best within this one
        best = solver.found({meter: limit, **others})
        if best is None:
            if not found:
                raise refusal(problem, {meter: limit, **others})
            break
        found.append(best)
    # By falling cost: of a peak ties are not broken, so that one of the same loss may follow.
    return tuple(
        each for each, after in zip(found, [*found[1:], None], strict=True) if after is None or after.loss > each.loss
    )
