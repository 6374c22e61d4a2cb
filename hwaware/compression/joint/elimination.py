"""The exact minimum of a sum of terms of one and of two variables, by eliminating one variable after another.

Bertelè and Brioschi 1972 (Nonserial Dynamic Programming); min-marginals by a second sweep as in a junction tree
(Shafer and Shenoy 1990). A variable's table has one axis for it and one for each neighbour it has when it goes; where
tables would be too large some terms of two are left out (`loose`), for the caller to bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hwaware.compression.joint.form import FloatArray, IntArray

# Entries of one table: a few milliseconds.
MOST_ENTRIES = 1 << 17


class Elimination:
    """An order for variables of these sizes, joined by `pairs`; each call then takes the terms."""

    def __init__(self, sizes: Sequence[int], pairs: Sequence[tuple[int, int]]) -> None:
        self.sizes = list(sizes)
        self.pairs = list(pairs)
        every = list(range(len(pairs)))
        order = self._ordered(every)
        if order is None:
            kept: list[int] = []
            for index in every:
                if self._ordered([*kept, index]) is not None:
                    kept.append(index)
            order = self._ordered(kept)
            assert order is not None
            every = kept
        self.kept = every
        self.loose = [index for index in range(len(pairs)) if index not in set(every)]
        self._order = list(order)
        place = {variable: position for position, variable in enumerate(self._order)}
        # Axes in the order of elimination: expanding a table is then no more than new axes.
        self._scopes = {variable: (variable, *sorted(near, key=place.__getitem__)) for variable, near in order.items()}
        self._terms: dict[int, list[int]] = {variable: [] for variable in self._order}
        for index in every:
            self._terms[min(self.pairs[index], key=place.__getitem__)].append(index)

    def _ordered(self, kept: Sequence[int]) -> dict[int, list[int]] | None:
        """Each variable with its neighbours when it goes, smallest table first; None where one is too large."""
        near: dict[int, set[int]] = {variable: set() for variable in range(len(self.sizes))}
        for index in kept:
            one, two = self.pairs[index]
            near[one].add(two)
            near[two].add(one)
        table = {variable: self._entries(variable, others) for variable, others in near.items()}
        order: dict[int, list[int]] = {}
        while near:
            variable = min(table, key=table.__getitem__)
            if table.pop(variable) > max(MOST_ENTRIES, self.sizes[variable]):
                return None
            others = near.pop(variable)
            order[variable] = sorted(others)
            for other in others:
                near[other] |= others
                near[other] -= {other, variable}
            for other in others:
                table[other] = self._entries(other, near[other])
        return order

    def _entries(self, variable: int, others: set[int]) -> int:
        return self.sizes[variable] * math.prod(self.sizes[other] for other in others)

    def minimum(self, unary: Sequence[FloatArray], theta: Sequence[FloatArray]) -> tuple[float, IntArray]:
        """The least sum and where it is reached; infinite where every assignment has an infinite term."""
        tables = self._collected(unary, theta)[0]
        chosen = np.zeros(len(self.sizes), dtype=np.intp)
        total = 0.0
        for variable in reversed(self._order):
            scope = self._scopes[variable]
            column = tables[variable][(slice(None), *(chosen[other] for other in scope[1:]))]
            chosen[variable] = int(column.argmin())
            if len(scope) == 1:
                total += float(column.min())
        return total, chosen

    def marginals(
        self, unary: Sequence[FloatArray], theta: Sequence[FloatArray]
    ) -> tuple[list[FloatArray], dict[int, FloatArray]]:
        """The least sum with each value of each variable, and with each pair of values of each kept term of two."""
        tables, messages = self._collected(unary, theta)
        roots = {each: float(tables[each].min()) for each in self._order if len(self._scopes[each]) == 1}
        singles: list[FloatArray] = [np.zeros(0)] * len(self.sizes)
        doubles: dict[int, FloatArray] = {}
        for variable in reversed(self._order):
            scope = self._scopes[variable]
            belief = tables[variable]
            if len(scope) == 1:
                belief = belief + sum(least for root, least in roots.items() if root != variable)
            else:
                parent, message = scope[1], messages[variable]
                outer = _least(tables[parent], self._scopes[parent], scope[1:])
                # What all but this table and those below it add; where a message is infinite all is.
                belief = belief + np.subtract(outer, message, out=np.zeros_like(message), where=np.isfinite(message))
            tables[variable] = belief
            singles[variable] = _least(belief, scope, (variable,))
            for index in self._terms[variable]:
                one, two = self.pairs[index]
                other = two if one == variable else one
                matrix = _least(belief, scope, (variable, other))
                doubles[index] = matrix if one == variable else matrix.T
        return singles, doubles

    def _collected(
        self, unary: Sequence[FloatArray], theta: Sequence[FloatArray]
    ) -> tuple[dict[int, FloatArray], dict[int, FloatArray]]:
        """Each variable's table with all below it, and its least over the variable."""
        waiting: dict[int, list[tuple[tuple[int, ...], FloatArray]]] = {variable: [] for variable in self._order}
        tables: dict[int, FloatArray] = {}
        messages: dict[int, FloatArray] = {}
        for variable in self._order:
            scope = self._scopes[variable]
            table = np.zeros([self.sizes[each] for each in scope])
            table += _expanded(unary[variable], (variable,), scope)
            for index in self._terms[variable]:
                one, two = self.pairs[index]
                matrix = theta[index] if one == variable else theta[index].T
                table += _expanded(matrix, (variable, two if one == variable else one), scope)
            for below, message in waiting.pop(variable):
                table += _expanded(message, below, scope)
            tables[variable] = table
            if len(scope) > 1:
                messages[variable] = table.min(axis=0)
                waiting[scope[1]].append((scope[1:], messages[variable]))
        return tables, messages


def _expanded(table: FloatArray, scope: tuple[int, ...], wanted: tuple[int, ...]) -> FloatArray:
    """`table` with an axis of one for each variable of `wanted` it lacks."""
    expanded: FloatArray = table[tuple(slice(None) if each in scope else None for each in wanted)]
    return expanded


def _least(table: FloatArray, scope: tuple[int, ...], wanted: tuple[int, ...]) -> FloatArray:
    """The least of `table` over all axes but those of `wanted`."""
    least: FloatArray = table.min(axis=tuple(axis for axis, each in enumerate(scope) if each not in wanted))
    return least
