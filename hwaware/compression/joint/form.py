"""A problem as arrays: rows (objective and constraints) by groups, their choices, and the edges between groups.

An edge's matrix splits into a part by the first choice, a part by the second, and a rest that is nowhere negative
with a zero in each row and column: only the rest couples the groups. An edge without a rest is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]

# A rest this small beside its matrix comes from rounding.
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class Edge:
    """`values[r, i, j]` is added to row `rows[r]` where the two groups' choices are of classes i and j."""

    first: int
    second: int
    of_first: IntArray  # the class of each choice
    of_second: IntArray
    rows: IntArray
    values: FloatArray  # (rows, classes of the first, classes of the second)
    allowed: BoolArray  # (classes of the first, classes of the second)

    def of(self, group: int) -> IntArray:
        """The class of each choice of one of the two groups."""
        return self.of_first if group == self.first else self.of_second

    def weighted(self, weights: FloatArray) -> FloatArray:
        """The matrix at one weight a row; infinite where a pair is not allowed."""
        matrix: FloatArray = np.tensordot(weights[self.rows], self.values, axes=1)
        return np.where(self.allowed, matrix, np.inf)


@dataclass(frozen=True, eq=False)
class Form:
    """What each choice (`unary`: rows × choices for each group) and each pair of choices adds to each row."""

    constants: FloatArray  # (rows,)
    unary: tuple[FloatArray, ...]
    edges: tuple[Edge, ...]
    origin: tuple[IntArray, ...]  # the position in the problem of each choice

    @property
    def sizes(self) -> list[int]:
        """How many choices each group has left."""
        return [len(each) for each in self.origin]

    @property
    def unknowns(self) -> int:
        """How many choices and allowed pairs are left."""
        return sum(self.sizes) + sum(int(edge.allowed.sum()) for edge in self.edges)

    def totals(self, chosen: Sequence[int] | IntArray) -> FloatArray:
        """All rows where each group has the choice at the given position (of those left)."""
        total: FloatArray = self.constants.copy()
        for values, choice in zip(self.unary, chosen, strict=True):
            total += values[:, choice]
        for edge in self.edges:
            total[edge.rows] += edge.values[:, edge.of_first[chosen[edge.first]], edge.of_second[chosen[edge.second]]]
        return total

    def originals(self, chosen: Sequence[int] | IntArray) -> IntArray:
        """The positions in the problem of the choices at these positions of those left."""
        return np.array([each[choice] for each, choice in zip(self.origin, chosen, strict=True)], dtype=np.intp)

    def allows(self, chosen: Sequence[int] | IntArray) -> bool:
        """Whether every edge allows its two choices."""
        return all(
            edge.allowed[edge.of_first[chosen[edge.first]], edge.of_second[chosen[edge.second]]] for edge in self.edges
        )

    def scaled(self, less: FloatArray, units: FloatArray) -> Form:
        """Each row less a number, in a unit of its own; what all choices of a group share goes to the constants."""
        edges = tuple(replace(edge, values=edge.values / units[edge.rows, None, None]) for edge in self.edges)
        unary = tuple((values - values.min(axis=1, keepdims=True)) / units[:, None] for values in self.unary)
        return replace(self, constants=(self.least() - less) / units, unary=unary, edges=edges)

    def least(self) -> FloatArray:
        """A lower bound of each row: the least of every part on its own."""
        total: FloatArray = self.constants + sum(values.min(axis=1) for values in self.unary)
        return total  # what is left of edges is nowhere negative

    def most(self) -> FloatArray:
        """An upper bound of each row: the most of every part on its own."""
        total: FloatArray = self.constants + sum(values.max(axis=1) for values in self.unary)
        for edge in self.edges:
            total[edge.rows] += edge.values.max(axis=(1, 2))
        return total

    def magnitude(self) -> FloatArray:
        """The sum of each row's parts without their signs, at most: what rounding errors are a small part of."""
        total: FloatArray = np.abs(self.constants) + sum(np.abs(values).max(axis=1) for values in self.unary)
        for edge in self.edges:
            total[edge.rows] += edge.values.max(axis=(1, 2))
        return total

    def places(self, originals: IntArray) -> IntArray | None:
        """The positions among those left of choices of the problem; None where one of them is gone."""
        found = [np.flatnonzero(each == choice) for each, choice in zip(self.origin, originals, strict=True)]
        return np.concatenate(found) if all(map(len, found)) else None

    def restricted(self, keep: Sequence[BoolArray], allowed: Sequence[BoolArray]) -> Form | None:
        """With the kept choices and allowed pairs alone; None where a group has nothing left.

        A choice that has no partner left at one of its edges goes as well.
        """
        keep = _partnered(self.edges, keep, allowed)
        unary = [values[:, each] for values, each in zip(self.unary, keep, strict=True)]
        origin = tuple(each[kept] for each, kept in zip(self.origin, keep, strict=True))
        if not all(map(len, origin)):
            return None
        edges = []
        for edge, pairs in zip(self.edges, allowed, strict=True):
            firsts, of_first = np.unique(edge.of_first[keep[edge.first]], return_inverse=True)
            seconds, of_second = np.unique(edge.of_second[keep[edge.second]], return_inverse=True)
            part = np.ix_(firsts, seconds)
            values = edge.values[:, part[0], part[1]]
            small = replace(edge, of_first=of_first, of_second=of_second, values=values, allowed=pairs[part])
            edges += _split(small, unary)
        return Form(self.constants, tuple(unary), tuple(edges), origin)


def _partnered(edges: Sequence[Edge], keep: Sequence[BoolArray], allowed: Sequence[BoolArray]) -> list[BoolArray]:
    """Which kept choices have an allowed partner at each of their edges (arc consistency: Mackworth 1977)."""
    left = [each.copy() for each in keep]
    changed = True
    while changed:
        changed = False
        for edge, pairs in zip(edges, allowed, strict=True):
            for group, other, matrix in ((edge.first, edge.second, pairs), (edge.second, edge.first, pairs.T)):
                present = np.zeros(matrix.shape[1], dtype=np.bool_)
                present[edge.of(other)[left[other]]] = True
                paired: BoolArray = np.any(matrix & present, axis=1)
                alone = left[group] & ~paired[edge.of(group)]
                if alone.any():
                    left[group] &= ~alone
                    changed = True
    return left


def _split(edge: Edge, unary: list[FloatArray]) -> list[Edge]:
    """The edge's rest, if any; what depends on one side alone is added to `unary`."""
    matrix = np.where(edge.allowed, edge.values, np.inf)
    by_first = matrix.min(axis=2)
    rest = matrix - by_first[:, :, None]
    by_second = rest.min(axis=1)
    rest = np.where(edge.allowed, rest - by_second[:, None, :], 0.0)
    magnitude = np.abs(edge.values).max(axis=(1, 2), initial=0.0)
    rest[rest <= _ROUNDING * magnitude[:, None, None]] = 0.0
    for group, parts, classes in ((edge.first, by_first, edge.of_first), (edge.second, by_second, edge.of_second)):
        values = unary[group].copy()
        values[edge.rows] += parts[:, classes]
        unary[group] = values
    used = rest.any(axis=(1, 2))
    if edge.allowed.all() and not used.any():
        return []
    return [replace(edge, rows=edge.rows[used], values=rest[used])]
