"""The integer program behind the knapsack: unknowns, what each adds to a cost, and its exact solution.

A binary x for each width of a group; for each pair of groups that meet in an operation a y >= 0 for each pair of
widths, whose sums are the x of both sides, so that y is 1 for the chosen pair alone. What is no sum of such pairs is
taken as differences from the present widths.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from hwaware.compression.halp.steps import candidates
from hwaware.compression.meters import MEMORY
from hwaware.compression.outline import Widths
from hwaware.compression.quiet import quiet
from hwaware.compression.width_costs import WidthCosts
from hwaware.errors import MissingCostError, ModelError

# Of one solution; a limit on time would make it depend on what else the machine does.
_NODES, _GAP = 5_000, 1e-6
_Pair = tuple[str, str]


@dataclass
class Program:
    """The program's unknowns and, for each cost, what each of them adds to it."""

    costs: WidthCosts
    present: Widths
    saliency: Mapping[str, Sequence[float]]
    places: dict[tuple[str, int], int] = field(default_factory=dict)  # x by group and width
    pairs: dict[_Pair, dict[tuple[int, int], int]] = field(default_factory=dict)  # y by groups, then by widths

    def __post_init__(self) -> None:
        self.choices = {name: candidates(self.costs, name, self.present) for name in self.present}
        for name, widths in self.choices.items():
            for width in widths:
                self.places[name, width] = len(self.places)
        for op in self.costs.outline(self.present).ops:
            names = [name for name in op.units if name in self.choices]
            if len(names) == 2:
                pair = (names[0], names[1])
                if pair not in self.pairs:
                    start = self.count
                    both = [(one, two) for one in self.choices[pair[0]] for two in self.choices[pair[1]]]
                    self.pairs[pair] = {each: start + index for index, each in enumerate(both)}
        self._rows: dict[str, tuple[np.ndarray, float]] = {}

    @property
    def count(self) -> int:
        """How many unknowns there are."""
        return len(self.places) + sum(map(len, self.pairs.values()))

    def solve(self, limits: Mapping[str, float]) -> dict[str, int] | None:
        """The best widths by the program; None where it has none."""
        worth = np.zeros(self.count)
        for (name, width), place in self.places.items():
            worth[place] = -float(np.sum(self.saliency[name][:width]))
        scale = np.abs(worth).max() or 1.0
        # Wider at no cost is better, if only a little: ties are broken the same way everywhere.
        for (_, width), place in self.places.items():
            worth[place] = worth[place] / scale - 1e-9 * width
        whole = np.zeros(self.count, dtype=np.int64)
        whole[: len(self.places)] = 1
        upper = np.ones(self.count)
        rows, highs = [], []
        for cost, limit in limits.items():
            row, constant = self._row(cost)
            upper[~np.isfinite(row)] = 0
            finite = np.where(np.isfinite(row), row, 0.0)
            unit = max(limit, 1e-30)
            rows.append(finite / unit)
            highs.append((limit - constant) / unit)
        with quiet():
            found = milp(
                worth,
                integrality=whole,
                bounds=Bounds(0, upper),
                constraints=[LinearConstraint(np.array(rows), -np.inf, highs), *self._consistent()],
                options={"node_limit": _NODES, "mip_rel_gap": _GAP},
            )
        if found.x is None:
            return None
        return {name: width for (name, width), place in self.places.items() if found.x[place] > 0.5}

    def estimate(self, cost: str, widths: Widths) -> float:
        """`cost` at `widths`, all of them candidates, as the program counts it."""
        row, constant = self._row(cost)
        chosen = [self.places[each] for each in widths.items()]
        chosen += [both[widths[one], widths[two]] for (one, two), both in self.pairs.items()]
        return constant + float(row[chosen].sum())

    def _consistent(self) -> list[LinearConstraint]:
        """One width for each group; pairs that are those of their groups."""
        entries: list[tuple[int, int, float]] = []
        wanted: list[float] = []
        for name, widths in self.choices.items():
            entries += [(len(wanted), self.places[name, width], 1.0) for width in widths]
            wanted.append(1.0)
        for pair, both in self.pairs.items():
            for side, name in enumerate(pair):
                for width in self.choices[name]:
                    entries += [(len(wanted), place, 1.0) for each, place in both.items() if each[side] == width]
                    entries.append((len(wanted), self.places[name, width], -1.0))
                    wanted.append(0.0)
        lines, columns, values = zip(*entries, strict=True)
        matrix = csr_array((values, (lines, columns)), shape=(len(wanted), self.count))
        return [LinearConstraint(matrix, wanted, wanted)]

    def _row(self, cost: str) -> tuple[np.ndarray, float]:
        """What each unknown adds to `cost`, and what is there anyway; infinite where the table knows no answer."""
        if cost not in self._rows:
            self._rows[cost] = self._memory_row() if cost == MEMORY else self._sum_row(cost)
        return self._rows[cost]

    def _sum_row(self, cost: str) -> tuple[np.ndarray, float]:
        row = np.zeros(self.count)
        outline = self.costs.outline(self.present)
        constant = self.costs.cost(cost, self.present)
        for op in outline.ops:
            here = self.costs.op_cost(cost, outline, op, self.present)
            names = [name for name in op.units if name in self.choices]
            if len(names) == 2:
                pair = (names[0], names[1])
                for each, place in self.pairs[pair].items():
                    row[place] += self._at(cost, op.op.name, dict(zip(pair, each, strict=True))) - here
                continue
            for name in names:
                for width in self.choices[name]:
                    row[self.places[name, width]] += self._at(cost, op.op.name, {name: width}) - here
        return row, constant

    def _at(self, cost: str, op: str, changed: Widths) -> float:
        """The cost of the operation called `op` at `changed` widths; 0 where it is gone, infinite where unknown."""
        widths = {**self.present, **changed}
        try:
            outline = self.costs.outline(widths)
            found = next((each for each in outline.ops if each.op.name == op), None)
            return 0.0 if found is None else self.costs.op_cost(cost, outline, found, widths)
        except (MissingCostError, ModelError):
            return float("inf")

    def _memory_row(self) -> tuple[np.ndarray, float]:
        row = np.zeros(self.count)
        whole = self.costs.cost(MEMORY, self.present)
        for (name, width), place in self.places.items():
            widths = {**self.present, name: width}
            row[place] = self.costs.cost(MEMORY, widths) - whole if self.costs.reaches(widths) else np.inf
        return row, whole
