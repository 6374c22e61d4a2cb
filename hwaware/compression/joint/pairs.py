"""A limit that a few groups can break, as pairs of their choices that are not allowed.

Memory is held by few groups at a time: what a layer reads and what it writes, and what a later layer still needs. A
limit on two groups is then all in their pairs, which every bound sees exactly, where as a row it would be one more
weight with a gap of its own; of a limit on more of them pairs show a part.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np

from hwaware.compression.joint.form import BoolArray, Edge, FloatArray, Form, IntArray

# Of more groups a pair is seldom above a limit beside the least of all others.
_FEW = 5


def as_pairs(form: Form, limits: FloatArray) -> tuple[Form, FloatArray] | None:
    """The form with such limits in its edges, and the limits that remain (infinite: none); None: nothing is left."""
    remaining = limits.copy()
    edges = {(edge.first, edge.second): edge for edge in form.edges}
    for row in np.flatnonzero(np.isfinite(limits) & (form.most() > limits)):
        groups = {group for group, values in enumerate(form.unary) if np.ptp(values[row]) > 0}
        for edge in form.edges:
            if (edge.rows == row).any():
                groups |= {edge.first, edge.second}
        if len(groups) > _FEW:
            continue
        for pair in itertools.combinations(sorted(groups), 2):
            edge = _without(form, edges.get(pair, _nothing(form, *pair)), int(row), limits[row])
            if pair in edges or not edge.allowed.all():
                edges[pair] = edge
        if len(groups) == 2:
            remaining[row] = np.inf
    joined = replace(form, edges=tuple(edges.values()))
    everything = [np.ones(size, dtype=np.bool_) for size in form.sizes]
    left = joined.restricted(everything, [edge.allowed for edge in joined.edges])
    return None if left is None else (left, remaining)


def _nothing(form: Form, first: int, second: int) -> Edge:
    """An edge that adds nothing."""
    alike = [np.zeros(form.sizes[group], dtype=np.intp) for group in (first, second)]
    rows = np.zeros(0, dtype=np.intp)
    return Edge(first, second, alike[0], alike[1], rows, np.zeros((0, 1, 1)), np.ones((1, 1), dtype=np.bool_))


def _without(form: Form, edge: Edge, row: int, limit: float) -> Edge:
    """The edge with the pairs above the limit, beside what all other groups add, no longer allowed."""
    pair = (edge.first, edge.second)
    rest = sum(float(values[row].min()) for group, values in enumerate(form.unary) if group not in pair)
    total = form.constants[row] + rest + form.unary[edge.first][row][:, None] + form.unary[edge.second][row][None, :]
    for index in np.flatnonzero(edge.rows == row):
        total = total + edge.values[index][np.ix_(edge.of_first, edge.of_second)]
    kept: BoolArray = total <= limit
    of_first, firsts = _classes(np.column_stack([edge.of_first, kept]))
    of_second, seconds = _classes(np.column_stack([edge.of_second, kept.T]))
    # One choice stands for each class: to this edge and this limit its others are the same.
    represented = np.ix_(edge.of_first[firsts], edge.of_second[seconds])
    return replace(
        edge,
        of_first=of_first,
        of_second=of_second,
        values=edge.values[:, represented[0], represented[1]],
        allowed=edge.allowed[represented] & kept[np.ix_(firsts, seconds)],
    )


def _classes(seen: IntArray) -> tuple[IntArray, IntArray]:
    """The class of each choice, alike where its rows are, and one choice of each class."""
    _, first, of = np.unique(seen, axis=0, return_index=True, return_inverse=True)
    return of.reshape(-1).astype(np.intp), first.astype(np.intp)
