"""A good assignment within the limits, by changing one group's choice at a time: an upper bound to prune with."""

from __future__ import annotations

import numpy as np

from hwaware.compression.joint.form import FloatArray, Form, IntArray

# More than are ever made: each is for the better, but rounding could lead in a circle.
_MOVES = 1_000


def improved(form: Form, chosen: IntArray, objective: int, limited: IntArray) -> IntArray | None:
    """From `chosen`: into the limits (rows `limited` at most 0) at the least price, then down as far as it goes.

    None where no single change leads further into the limits, or an edge forbids the choices to begin with.
    """
    if not form.allows(chosen):
        return None
    chosen = chosen.copy()
    near: list[list[int]] = [[] for _ in form.sizes]
    for index, edge in enumerate(form.edges):
        near[edge.first].append(index)
        near[edge.second].append(index)
    differences: list[FloatArray | None] = [None] * len(form.sizes)
    totals = form.totals(chosen)
    for _ in range(_MOVES):
        for group, known in enumerate(differences):
            if known is None:
                differences[group] = _differences(form, chosen, group, near[group])
        change = np.concatenate([each for each in differences if each is not None], axis=1)
        over = np.maximum(totals[limited], 0.0).sum()
        after = np.maximum(totals[limited, None] + change[limited], 0.0).sum(axis=0)
        after[~np.isfinite(change[objective])] = np.inf
        price = change[objective]
        if over > 0:
            gained = over - after
            helps = gained > 1e-12 * over
            if not helps.any():
                return None
            score = np.where(helps, price / np.where(helps, gained, 1.0), np.inf)
        else:
            score = np.where((after <= 0) & (price < -1e-12 * abs(totals[objective])), price, np.inf)
            if not np.isfinite(score).any():
                return chosen
        place = int(score.argmin())
        starts = np.cumsum([0, *form.sizes])
        group = int(np.searchsorted(starts, place, side="right")) - 1
        chosen[group] = place - starts[group]
        totals = form.totals(chosen)
        differences[group] = None
        for index in near[group]:
            differences[form.edges[index].first] = differences[form.edges[index].second] = None
    return None


def _differences(form: Form, chosen: IntArray, group: int, near: list[int]) -> FloatArray:
    """How all rows change by each choice of `group`; infinitely where a border forbids it."""
    values = form.unary[group].copy()
    for index in near:
        edge = form.edges[index]
        if group == edge.first:
            other = edge.of_second[chosen[edge.second]]
            added, allowed = edge.values[:, :, other], edge.allowed[:, other]
        else:
            other = edge.of_first[chosen[edge.first]]
            added, allowed = edge.values[:, other, :], edge.allowed[other, :]
        of = edge.of(group)
        values[edge.rows] += added[:, of]
        values[:, ~allowed[of]] = np.inf
    here = values[:, chosen[group]]
    return values - np.where(np.isfinite(here), here, 0.0)[:, None]
