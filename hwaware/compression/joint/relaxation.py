"""The least weighted sum of a form's rows over all assignments: a lower bound of what limits leave.

With a weight for each limited row and the limits themselves left away (Lagrange), what is left is a sum of terms of
one and of two groups, which elimination minimises exactly. A group's choices that look the same to all of its edges
are one state; an edge that sees still less of it (the precision, of widths and precisions) gets a variable of its own
for what it sees, so that the tables of groups far apart stay small. An edge left out counts as the least it can add.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hwaware.compression.joint.elimination import Elimination
from hwaware.compression.joint.form import FloatArray, Form, IntArray


@dataclass(frozen=True, eq=False)
class _End:
    """A side of an edge: the variable it is joined to, and the edge's class for each of its values."""

    variable: int
    classes: IntArray


class Relaxation:
    """A form prepared for many weights, none of them negative."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self._states: list[IntArray] = []  # of each choice, by group
        for group, size in enumerate(form.sizes):
            seen = [edge.of(group) for edge in form.edges if group in (edge.first, edge.second)]
            columns = np.stack([np.zeros(size, dtype=np.intp), *seen], axis=1)
            self._states.append(np.unique(columns, axis=0, return_inverse=True)[1].reshape(-1))
        self._sizes = [int(states.max()) + 1 for states in self._states]
        links: list[tuple[int, int]] = []
        self._terms: list[FloatArray] = []  # of links: zero where the view shows the state
        self._views: dict[tuple[int, bytes], _End] = {}
        self._ends = [
            tuple(self._end(group, edge.of(group), links) for group in (edge.first, edge.second)) for edge in form.edges
        ]
        pairs = [(first.variable, second.variable) for first, second in self._ends]
        self._elimination = Elimination(self._sizes, [*links, *pairs])
        left_out = {index - len(links) for index in self._elimination.loose}
        self.counted = replace(
            form, edges=tuple(edge for index, edge in enumerate(form.edges) if index not in left_out)
        )

    def minimum(self, weights: FloatArray) -> tuple[float, IntArray]:
        """The least weighted sum of the rows of `counted`, and the choices it is reached by."""
        unary, least = self._unary(weights)
        bound, chosen = self._elimination.minimum(least, self._terms + self._matrices(weights))
        places = [
            int(np.where(states == state, values, np.inf).argmin())
            for states, values, state in zip(self._states, unary, chosen, strict=False)
        ]
        return bound + float(weights @ self.form.constants), np.array(places, dtype=np.intp)

    def marginals(self, weights: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
        """The same bound with each choice of each group, and with each pair of classes of each edge."""
        unary, least = self._unary(weights)
        matrices = self._matrices(weights)
        singles, doubles = self._elimination.marginals(least, self._terms + matrices)
        constant = float(weights @ self.form.constants)
        choices = [
            constant + single[states] + (values - low[states])
            for single, states, values, low in zip(singles, self._states, unary, least, strict=False)
        ]
        pairs = []
        for index, (ends, matrix) in enumerate(zip(self._ends, matrices, strict=True)):
            found = doubles.get(len(self._terms) + index)
            if found is None:
                first, second = (singles[end.variable] for end in ends)
                found = np.maximum(first[:, None], second[None, :]) + matrix
            by_class = np.full(matrix.shape, np.inf)
            by_class[np.ix_(*(end.classes for end in ends))] = found
            pairs.append(constant + by_class)
        return choices, pairs

    def _end(self, group: int, classes: IntArray, links: list[tuple[int, int]]) -> _End:
        """The variable for what an edge sees of `group`; added, with its link, where it is none so far."""
        shown = np.zeros(self._sizes[group], dtype=np.intp)
        shown[self._states[group]] = classes
        count = int(shown.max()) + 1
        if count == len(shown):
            return _End(group, shown)
        key = (group, shown.tobytes())
        if key not in self._views:
            self._views[key] = _End(len(self._sizes), np.arange(count))
            self._sizes.append(count)
            links.append((group, self._views[key].variable))
            self._terms.append(np.where(shown[:, None] == np.arange(count)[None, :], 0.0, np.inf))
        return self._views[key]

    def _unary(self, weights: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
        """What each choice adds, and the least of that over the choices of each variable's values."""
        unary = [weights @ values for values in self.form.unary]
        least = [np.full(size, np.inf) for size in self._sizes[: len(unary)]]
        for values, low, states in zip(unary, least, self._states, strict=True):
            np.minimum.at(low, states, values)
        return unary, least + [np.zeros(size) for size in self._sizes[len(unary) :]]

    def _matrices(self, weights: FloatArray) -> list[FloatArray]:
        return [
            edge.weighted(weights)[np.ix_(*(end.classes for end in ends))]
            for edge, ends in zip(self.form.edges, self._ends, strict=True)
        ]
