"""A knapsack of channels: the widths that keep the most saliency within measured limits, solved exactly.

After Shen et al. 2022 (HALP, arXiv:2110.10811), who give every layer a latency of its own and solve greedily. Here an
operation between two groups costs what the table says of both widths at once (`program`). Costs that are no sum of
pairs (a convolution behind a concatenation, the memory plan, what a vanished group changes around it) are estimated
there; the answer is checked against the true cost, and the limit tightened by what it was missed by until it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwaware.compression.halp.program import Program
from hwaware.compression.outline import Widths
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import BudgetError

_ATTEMPTS = 12


@dataclass(frozen=True)
class Knapsack:
    """The widths alone; a `prune.WidthSolver`."""

    costs: WidthCosts

    def solve(
        self, saliency: Mapping[str, Sequence[float]], limits: Mapping[str, float], most: Widths
    ) -> dict[str, int]:
        """See `solve`."""
        return solve(self.costs, saliency, limits, most)

    def latency(self, widths: Widths) -> float:
        """Milliseconds."""
        return self.costs.latency(widths)

    def state(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing."""


def solve(
    costs: WidthCosts, saliency: Mapping[str, Sequence[float]], limits: Mapping[str, float], most: Widths | None = None
) -> dict[str, int]:
    """The width of each group, at most `most` (default: all channels), that keeps the most `saliency`.

    `saliency` lists for each group that of its channels, the highest first; a group of w channels keeps the first w.
    The answer is within `limits`, any of METERS. Raises BudgetError where not even the narrowest widths are.
    """
    present = dict(most or costs.full)
    if costs.meets(present, limits):
        return present
    problem = Program(costs, present, saliency)
    tight = dict(limits)
    found: dict[str, int] | None = None
    for _ in range(_ATTEMPTS):
        widths = problem.solve(tight)
        if widths is None or not costs.reaches(widths):
            break
        found = widths
        if costs.meets(widths, limits):
            # Where costs are no sums the program may count too much: there is room left.
            return _widened(problem, present, widths, limits)
        for name, limit in limits.items():
            true = costs.cost(name, widths)
            if true > limit:
                # By the program's own estimate: below the limit itself the same widths may come out again.
                tight[name] = min(tight[name], problem.estimate(name, widths)) * 0.999 * limit / true
    least = {name: min(width, present[name]) for name, width in costs.least().items()}
    if not costs.meets(least, limits):
        asked = ", ".join(limits)
        raise BudgetError(f"no widths keep {asked} within the budget; ask for a larger one")
    return _widened(problem, found or present, least, limits)


def _widened(problem: Program, wanted: Widths, least: Widths, limits: Mapping[str, float]) -> dict[str, int]:
    """`least` (within the limits) widened by steps, the most saliency a cost first: up to `wanted`, then beyond."""
    widths = dict(least)
    for bound in (wanted, problem.present):
        open_groups = {name for name in widths if widths[name] < bound[name]}
        while open_groups:
            steps = []
            for name in sorted(open_groups):
                wider = next((w for w in problem.choices[name] if widths[name] < w <= bound[name]), None)
                if wider is None or not problem.costs.meets(changed := {**widths, name: wider}, limits):
                    open_groups.discard(name)
                    continue
                earned = float(np.sum(problem.saliency[name][widths[name] : wider]))
                spent = sum(
                    max(0.0, problem.costs.cost(cost, changed) - problem.costs.cost(cost, widths)) / limit
                    for cost, limit in limits.items()
                )
                steps.append((earned / max(spent, 1e-12), name, wider))
            if steps:
                _, name, wider = max(steps)
                widths[name] = wider
    return widths
