"""A problem as a form: one row for the objective and one for each limit, a peak's moments each a row of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hwaware.compression.joint.form import BoolArray, Edge, Form
from hwaware.compression.joint.problem import LOSS, Border, Problem


@dataclass(frozen=True)
class Row:
    """A meter, or one moment of a peak."""

    meter: str
    moment: int | None = None


def rows_of(problem: Problem, meter: str) -> list[Row]:
    """The rows that must all stay below a limit on `meter`."""
    if meter in problem.peaks:
        return [Row(meter, moment) for moment in range(len(problem.peaks[meter]))]
    return [Row(meter)]


def form_of(problem: Problem, rows: Sequence[Row]) -> Form | None:
    """`problem` in these rows; None where a group has no choice that can be had.

    A choice or pair of choices with an infinite cost cannot be had, whether or not that meter has a row.
    """
    places = {group.name: place for place, group in enumerate(problem.groups)}
    constants = np.zeros(len(rows))
    unary = [np.zeros((len(rows), len(group.choices))) for group in problem.groups]
    met: dict[tuple[int, int], list[tuple[int | None, Border]]] = {}
    for at, row in enumerate(rows):
        if row.moment is None:
            constants[at] = problem.constants.get(row.meter, 0.0)
            for group, values in zip(problem.groups, unary, strict=True):
                values[at] = [
                    choice.loss if row.meter == LOSS else choice.costs.get(row.meter, 0.0) for choice in group.choices
                ]
        else:
            moment = problem.peaks[row.meter][row.moment]
            constants[at] = moment.constant
            for name, part in moment.parts.items():
                unary[places[name]][at] = part
    for border, number in _borders(problem, rows):
        if number is None and np.isfinite(border.cost).all():
            continue
        pair = (places[border.first], places[border.second])
        met.setdefault((min(pair), max(pair)), []).append((number, border))
    edges = [_edge(problem, pair, borders, len(rows)) for pair, borders in met.items()]
    keep = _available(problem)
    finite = tuple(np.where(each, values, 0.0) for each, values in zip(keep, unary, strict=True))
    origin = tuple(np.arange(len(group.choices)) for group in problem.groups)
    return Form(constants, finite, tuple(edges), origin).restricted(keep, [edge.allowed for edge in edges])


def _borders(problem: Problem, rows: Sequence[Row]) -> list[tuple[Border, int | None]]:
    """Every border with the row it adds to; None where it adds to none and may only forbid."""
    numbers = {row: number for number, row in enumerate(rows)}
    found = [(border, numbers.get(Row(border.meter))) for border in problem.borders]
    for meter, moments in problem.peaks.items():
        for number, moment in enumerate(moments):
            found += [(border, numbers.get(Row(meter, number))) for border in moment.borders]
    return found


def _edge(problem: Problem, pair: tuple[int, int], borders: Sequence[tuple[int | None, Border]], rows: int) -> Edge:
    """All that two groups cost together, by classes that tell apart what any of the borders does."""
    sides, firsts = [], []
    for group in pair:
        name, size = problem.groups[group].name, len(problem.groups[group].choices)
        classes = [b.first_classes if b.first == name else b.second_classes for _, b in borders]
        seen = np.stack([np.arange(size) if each is None else np.asarray(each) for each in classes], axis=1)
        _, first, of = np.unique(seen, axis=0, return_index=True, return_inverse=True)
        sides.append(of.reshape(-1).astype(np.intp))
        firsts.append(seen[first])  # (classes, borders): the class by each border
    values = np.zeros((rows, len(firsts[0]), len(firsts[1])))
    allowed = np.ones(values.shape[1:], dtype=np.bool_)
    for index, (number, border) in enumerate(borders):
        cost = border.cost if border.first == problem.groups[pair[0]].name else border.cost.T
        matrix = cost[np.ix_(firsts[0][:, index], firsts[1][:, index])]
        allowed &= np.isfinite(matrix)
        if number is not None:
            values[number] += np.where(np.isfinite(matrix), matrix, 0.0)
    return Edge(pair[0], pair[1], sides[0], sides[1], np.arange(rows), values, allowed)


def _available(problem: Problem) -> list[BoolArray]:
    """Which choices of each group have no infinite cost."""
    keep = {
        group.name: np.array([np.isfinite([*choice.costs.values()]).all() for choice in group.choices], dtype=np.bool_)
        for group in problem.groups
    }
    for moments in problem.peaks.values():
        for moment in moments:
            for name, part in moment.parts.items():
                keep[name] &= np.isfinite(part)
    return list(keep.values())
