"""Choices that another of their group is never worse than.

Goldstein 1994 (dead-end elimination): choice j of a group is not needed beside i where i is no worse in any row even
if every neighbour has the choice that favours j most. For choices that all edges see alike this is plain dominance.
"""

from __future__ import annotations

import numpy as np

from hwaware.compression.joint.form import BoolArray, FloatArray, Form

_MOST = 1e300  # finite: two of these of opposite signs are still a number


def undominated(form: Form) -> Form:
    """The choices that are needed: for each assignment one of these is no worse in any row."""
    keep = [np.ones(size, dtype=np.bool_) for size in form.sizes]
    for group in range(len(keep)):
        keep[group] = ~_dominated(form, group, keep)
    left = form.restricted(keep, [edge.allowed for edge in form.edges])
    assert left is not None  # of each group one choice stays, with a partner at each edge
    return left


def _dominated(form: Form, group: int, keep: list[BoolArray]) -> BoolArray:
    values = form.unary[group]
    more = values[:, :, None] - values[:, None, :]  # (rows, i, j): what i costs more than j
    for edge in form.edges:
        if group not in (edge.first, edge.second):
            continue
        # Neighbours' choices removed before need not be asked: some assignment without them is as good.
        other = edge.second if group == edge.first else edge.first
        present = np.unique(edge.of(other)[keep[other]])
        matrix: FloatArray = edge.values if group == edge.first else edge.values.swapaxes(1, 2)
        allowed = edge.allowed if group == edge.first else edge.allowed.T
        matrix, allowed = matrix[:, :, present], allowed[:, present]
        differs = matrix[:, :, None, :] - matrix[:, None, :, :]
        worst = np.max(differs, axis=3, where=allowed[None, None, :, :], initial=-_MOST)
        lost: BoolArray = np.any(allowed[None, :, :] & ~allowed[:, None, :], axis=2)  # a partner that only j may have
        of = edge.of(group)
        part = np.ix_(of, of)
        for index, row in enumerate(edge.rows):
            more[row] += worst[index][part]
        more[:, lost[part]] = np.inf
    never_worse: BoolArray = np.all(more <= 0, axis=0)
    np.fill_diagonal(never_worse, False)
    # Of choices that are alike the first stays.
    later = never_worse & never_worse.T & np.tri(len(never_worse), k=-1, dtype=np.bool_)
    dominated: BoolArray = np.any(never_worse & ~later, axis=0)
    return dominated
