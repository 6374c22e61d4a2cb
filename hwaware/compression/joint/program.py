"""The integer program of a form: exact by branch and bound (HiGHS, through SciPy).

A binary x for each choice; for each edge a y >= 0 for each allowed pair of its classes, whose sums are the x of both
sides' classes, so that y is 1 for the chosen pair alone. On a tree and without limits its corners are whole (the
local polytope: Wainwright and Jordan 2008, section 4.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array, hstack

from hwaware.compression.joint.form import FloatArray, Form, IntArray
from hwaware.compression.quiet import quiet

_OPTIMAL, _INFEASIBLE = 0, 2  # milp's status


@dataclass(frozen=True, eq=False)
class Answer:
    """Where the objective is least, and how far below it may still be by what the solver has proved."""

    chosen: IntArray
    gap: float


class Program:
    """The unknowns of a form, the x of all groups and then the y of all edges, and how they belong together."""

    def __init__(self, form: Form) -> None:
        self._starts = np.cumsum([0, *form.sizes])
        pairs = [np.nonzero(edge.allowed) for edge in form.edges]
        self.count = int(self._starts[-1]) + sum(len(firsts) for firsts, _ in pairs)
        # What each unknown adds to each row of the form.
        self.rows: FloatArray = np.zeros((len(form.constants), self.count))
        # One choice for each group; for each class as much of an edge's pairs as of its choices.
        lines = [np.repeat(np.arange(len(form.sizes)), form.sizes)]
        columns = [np.arange(self._starts[-1])]
        signs = [1.0]
        self._wanted = [1.0] * len(form.sizes)
        for start, values in zip(self._starts, form.unary, strict=False):
            self.rows[:, start : start + values.shape[1]] = values
        place = int(self._starts[-1])
        for edge, classes in zip(form.edges, pairs, strict=True):
            places = np.arange(place, place + len(classes[0]))
            place += len(places)
            self.rows[np.ix_(edge.rows, places)] = edge.values[:, classes[0], classes[1]]
            for group, of_pair in zip((edge.first, edge.second), classes, strict=True):
                of = edge.of(group)
                lines += [len(self._wanted) + of_pair, len(self._wanted) + of]
                columns += [places, self._starts[group] + np.arange(len(of))]
                signs += [1.0, -1.0]
                self._wanted += [0.0] * (int(of.max()) + 1)
        values = np.repeat(signs, [len(line) for line in lines])
        where = (np.concatenate(lines), np.concatenate(columns))
        self._consistent = csr_array((values, where), shape=(len(self._wanted), self.count))

    def minimised(
        self,
        objective: FloatArray,
        limited: FloatArray,
        highs: FloatArray,
        holds: Callable[[IntArray], bool],
        presolve: bool = True,
    ) -> Answer | None:
        """Where `objective` (of each unknown) is least with the rows `limited` at most `highs`; None where nowhere.

        Columns of both beyond `count` are further unknowns, of any value. An answer that a tolerance of the solver let
        through, for which `holds` is false, is excluded by name. Raises RuntimeError where the solver fails.
        """
        free = len(objective) - self.count
        lowest = np.concatenate([np.zeros(self.count), np.full(free, -np.inf)])
        highest = np.concatenate([np.ones(self.count), np.full(free, np.inf)])
        constraints = [
            LinearConstraint(
                hstack([self._consistent, csr_array((len(self._wanted), free))]), self._wanted, self._wanted
            )
        ]
        if len(limited):
            constraints.append(LinearConstraint(limited, -np.inf, highs))
        while True:
            with quiet():
                found = milp(
                    objective,
                    integrality=(np.arange(len(objective)) < self._starts[-1]).astype(np.intp),
                    bounds=Bounds(lowest, highest),
                    constraints=constraints,
                    options={"mip_rel_gap": 0.0, "presolve": presolve},
                )
            if found.status == _INFEASIBLE:
                return None
            if found.status != _OPTIMAL or found.x is None:
                raise RuntimeError(f"HiGHS: {found.message}")
            x = np.split(found.x, self._starts[1:])[:-1]
            chosen = np.array([each.argmax() for each in x], dtype=np.intp)
            if holds(chosen):
                return Answer(chosen, max(0.0, found.fun - found.mip_dual_bound))
            line = np.zeros((1, len(objective)))
            line[0, self._starts[:-1] + chosen] = 1.0
            constraints.append(LinearConstraint(line, -np.inf, len(chosen) - 1.0))
