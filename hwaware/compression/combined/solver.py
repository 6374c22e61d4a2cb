"""Widths and precisions that lose least within limits: the joint solver's answer, checked against the true cost.

What the problem counts is exact where a cost is a sum over pairs; the rest (what conversions cost at other widths, a
convolution behind a concatenation) is checked by lowering the answer, and the limit tightened by what it was missed by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwaware.compression.combined.borders import Borders, measured_borders
from hwaware.compression.combined.forms import Forms
from hwaware.compression.combined.problem import Combined, Decided, Losses, sums
from hwaware.compression.halp import knapsack
from hwaware.compression.joint.explain import explain
from hwaware.compression.joint.problem import Problem
from hwaware.compression.joint.reach import least
from hwaware.compression.joint.solve import Solution, solve
from hwaware.compression.meters import LATENCY
from hwaware.compression.outline import Widths
from hwaware.compression.quantize.choices import Precision
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import BudgetError, MissingCostError, ModelError

_ATTEMPTS = 12
# Conversions are measured again once so little of the latency is left.
_AGAIN = 0.75


class OutOfReach(BudgetError):
    """No widths and precisions are within the limits.

    `alone` is the least of each limited cost, `together` the least within the other limits (absent: there is none).
    """

    def __init__(self, alone: Mapping[str, float], together: Mapping[str, float]) -> None:
        super().__init__(f"no widths and precisions keep {', '.join(alone)} within the budget; ask for a larger one")
        self.alone, self.together = dict(alone), dict(together)


class CombinedSolver:
    """A `halp.prune.WidthSolver` that decides on precisions as well; `losses` is what each is believed to lose."""

    def __init__(self, forms: Forms, losses: Losses) -> None:
        self.forms, self.losses = forms, losses
        self.choices: dict[str, Precision] = {}
        self._with_more: tuple[tuple[str, str, str], ...] = ()
        self._answer: tuple[Problem, Solution] | None = None  # of which `with_more` is still to be found
        self._borders: tuple[dict[str, int], tuple[str, ...], Borders] | None = None
        self._costs: tuple[dict[str, Precision], WidthCosts] | None = None

    @property
    def costs(self) -> WidthCosts:
        """What widths cost with the precisions of the last answer."""
        if self._costs is None or self._costs[0] != self.choices:
            self._costs = (dict(self.choices), self.forms.assigned(self.choices))
        return self._costs[1]

    @property
    def with_more(self) -> tuple[tuple[str, str, str], ...]:
        """What a tenth more of the first limit would change of the last answer: group or layer, from, to."""
        if self._answer is not None:
            problem, solution = self._answer
            explanation = explain(problem, solution, next(iter(solution.limits)))
            self._with_more = tuple((change.group, change.before, change.after) for change in explanation.changes)
            self._answer = None
        return self._with_more

    def latency(self, widths: Widths) -> float:
        """Milliseconds with the precisions of the last answer."""
        return self.forms.priced(widths, self.choices, (LATENCY,))[LATENCY]

    def solve(
        self, saliency: Mapping[str, Sequence[float]], limits: Mapping[str, float], most: Widths
    ) -> dict[str, int]:
        """The widths; the precisions are in `choices`. Raises BudgetError where nothing is within the limits."""
        self.choices, self._with_more, self._answer = {}, (), None
        if self.forms.floats.meets(most, limits):
            return dict(most)
        found = (
            self._decided(saliency, limits, most) or self._widths(saliency, limits, most) or self._least(limits, most)
        )
        if found is None:
            raise self._refusal(limits, most)
        self.choices = found.choices
        return found.widths

    def state(self) -> dict[str, Any]:
        """The precisions, and at which widths conversions were measured."""
        at = None if self._borders is None else {"widths": self._borders[0], "meters": list(self._borders[1])}
        return {"choices": dict(self.choices), "with_more": [list(each) for each in self.with_more], "borders": at}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.choices = dict(state["choices"])
        self._with_more = tuple((what, before, after) for what, before, after in state["with_more"])
        self._answer = None
        at = state["borders"]
        if at is not None:
            self._measure(at["widths"], at["meters"])

    def combined(self, most: Widths, meters: Sequence[str]) -> Combined:
        """The costs of all variants at up to `most`."""
        known = self._borders
        latency = self.forms.floats.latency
        if known is None or known[1] != tuple(meters) or latency(most) < _AGAIN * latency(known[0]):
            self._measure(most, meters)
        assert self._borders is not None
        return Combined(self.forms, self._borders[2], most, meters)

    def _measure(self, widths: Widths, meters: Sequence[str]) -> None:
        self._borders = (dict(widths), tuple(meters), measured_borders(self.forms, widths, sums(meters)))

    def _decided(
        self, saliency: Mapping[str, Sequence[float]], limits: Mapping[str, float], most: Widths
    ) -> Decided | None:
        combined = self.combined(most, tuple(limits))
        if not combined.holders:
            return None  # nothing to choose
        problem = combined.problem(saliency, self.losses)
        tight = dict(limits)
        for _ in range(_ATTEMPTS):
            try:
                solution = solve(problem, tight)
            except BudgetError:
                return None
            found = combined.decided(solution.chosen)
            true = self._true(found, limits)
            if true is None:
                return None
            if all(true[name] <= limit for name, limit in limits.items()):
                self._answer = (problem, solution)
                return found
            for name, limit in limits.items():
                if true[name] > limit:
                    tight[name] = min(tight[name], solution.costs[name]) * 0.999 * limit / true[name]
        return None

    def _widths(
        self, saliency: Mapping[str, Sequence[float]], limits: Mapping[str, float], most: Widths
    ) -> Decided | None:
        """In float32, where the table does not know the answer or no tightening led within the limits."""
        if not most:
            return None
        try:
            return Decided(knapsack.solve(self.forms.floats, saliency, limits, most), {})
        except BudgetError:
            return None

    def _least(self, limits: Mapping[str, float], most: Widths) -> Decided | None:
        """The narrowest widths, where they are within the limits: in float32, or all in one precision."""
        for precision, costs in self.forms.uniform.items():
            narrow = {name: min(width, most[name]) for name, width in costs.least().items()}
            choices = {name: precision for name, options in self.forms.options.items() if precision in options}
            found = Decided(narrow, {} if costs is self.forms.floats else choices)
            true = self._true(found, limits)
            if true is not None and all(true[name] <= limit for name, limit in limits.items()):
                return found
        return None

    def _refusal(self, limits: Mapping[str, float], most: Widths) -> OutOfReach:
        """With the costs that can be had, as they are when lowered."""
        combined = self.combined(most, tuple(limits))
        if not combined.holders:
            whole = self.forms.priced(most, {}, limits)
            return OutOfReach(whole, whole)
        worth = {name: [1.0] * size for name, size in most.items()}
        problem = combined.problem(worth, self.losses)
        alone: dict[str, float] = {}
        together: dict[str, float] = {}
        for name in limits:
            others = {other: limit for other, limit in limits.items() if other != name}
            for costs, beside in ((alone, {}), (together, others)):
                low = least(problem, name, beside)
                if low is None:
                    continue
                try:
                    chosen = solve(problem, {**beside, name: low}).chosen
                except BudgetError:
                    continue
                true = self._true(combined.decided(chosen), limits)
                costs[name] = max(low, (true or {}).get(name, low))
        return OutOfReach(alone, together)

    def _true(self, found: Decided, limits: Mapping[str, float]) -> dict[str, float] | None:
        try:
            return self.forms.priced(found.widths, found.choices, limits)
        except (MissingCostError, ModelError):
            return None
