"""Precisions for a model whose widths are decided: a Pareto sweep, from which the finalists are taken.

What a layer loses is measured again once the model is trained, and the front of predicted loss and latency is found
exactly. Finalists are what is within the limits, the least predicted loss first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwaware.compression.combined.borders import measured_borders
from hwaware.compression.combined.forms import Forms
from hwaware.compression.combined.problem import Combined, sums
from hwaware.compression.joint.problem import LATENCY as SOLVED
from hwaware.compression.joint.reach import least
from hwaware.compression.joint.sweep import sweep
from hwaware.compression.meters import LATENCY
from hwaware.compression.plan_parts import PrecisionPlan
from hwaware.compression.quantize.choices import Choices, Precision
from hwaware.compression.quantize.sensitivity import Losses
from hwaware.errors import MissingCostError
from hwaware.graph.ir import Node

MOST = 3
_POINTS = 8


@dataclass(frozen=True)
class Point:
    """One assignment of precisions, its predicted costs, and the sum of what its layers lose."""

    choices: Mapping[str, Precision]
    costs: Mapping[str, float]
    loss: float


class Sweep:
    """Of a model with the costs `forms`, whose widths stay."""

    def __init__(self, forms: Forms, losses: Losses, limits: Mapping[str, float]) -> None:
        self.forms, self.losses, self.limits = forms, losses, dict(limits)
        self._meters = tuple(dict.fromkeys([LATENCY, *limits]))
        self._borders = measured_borders(forms, {}, sums(self._meters))
        self._combined = Combined(forms, self._borders, {}, self._meters)

    def front(self) -> tuple[Point, ...]:
        """From the least loss to the least latency; nothing where there is nothing to choose."""
        if not self._combined.holders:
            return ()
        problem = self._combined.problem({}, self.losses)
        others = {name: limit for name, limit in self.limits.items() if name != LATENCY}
        low = least(problem, SOLVED, others)
        if low is None:
            return ()
        whole = problem.cost(SOLVED, {group.name: 0 for group in problem.groups})
        found = sweep(problem, SOLVED, np.linspace(low, max(low, whole), _POINTS).tolist(), others)
        points = {}
        for solution in found:
            choices = self._combined.decided(solution.chosen).choices
            point = self.point(choices)
            if point is not None:
                points[tuple(sorted(choices.items()))] = point
        return tuple(points.values())

    def point(self, choices: Choices) -> Point | None:
        """What these precisions cost, lowered for real; None where the table does not know that."""
        try:
            costs = self.forms.priced({}, choices, self._meters)
        except MissingCostError:
            return None
        return Point(dict(choices), costs, sum(self.losses[layer][each] for layer, each in choices.items()))

    def finalists(self, front: Sequence[Point], first: Choices) -> tuple[Point, ...]:
        """The best within the limits, `first` (what the search chose) among them."""
        known = [point for point in front if point.choices != first]
        start = self.point(first)
        within = sorted(filter(self._within, known), key=lambda point: point.loss)
        return ((start,) if start is not None else ()) + tuple(within[: MOST - 1])

    def explained(self, choices: Choices) -> Iterator[PrecisionPlan]:
        """Why each layer has its precision: what it and the others cost and lose where all other layers stay."""
        here = self.point(choices)
        names: dict[str, Node] = {node.name: node for node in self.forms.graph.nodes}
        present = {op.op.name for op in self.forms.floats.outline({}).ops}
        for layer, options in self.forms.options.items():
            if layer not in present or here is None:
                continue
            now = choices.get(layer, options[0])
            own: dict[str, float] = {each: self.forms.own(LATENCY, layer, each, {}) for each in options}
            others: dict[str, float] = {}
            for each in options:
                changed = (
                    {**choices, layer: each} if each != options[0] else {k: v for k, v in choices.items() if k != layer}
                )
                point = here if each == now else self.point(changed)
                if point is not None:
                    others[each] = point.costs[LATENCY] - here.costs[LATENCY]
            losses: dict[str, float] = {each: self.losses[layer].get(each, 0.0) for each in options}
            border = self._borders.alone.get(layer, {}).get(LATENCY, 0.0)
            yield PrecisionPlan(layer, names[layer].path, now, own, others, losses, border)

    def _within(self, point: Point) -> bool:
        return all(point.costs[name] <= limit for name, limit in self.limits.items())
