"""The best weights of the limited rows: the largest lower bound that the relaxation gives.

The bound is concave and piecewise linear in the weights: each assignment found is a plane above it (Kelley 1960), a
small linear program says where the planes allow the most, and the next weights lie between there and the best so far
(Ben-Ameur and Neto 2007, in-out), without which planes far away make the weights jump.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from hwaware.compression.joint.form import FloatArray, IntArray
from hwaware.compression.joint.relaxation import Relaxation

_STEPS, _INWARD, _CLOSE = 150, 0.5, 1e-6
_GROWTH, _LARGEST = 10.0, 1e9


@dataclass(frozen=True, eq=False)
class Dual:
    """Weights of all rows (the objective's is 1), the bound there, and the assignments met on the way."""

    weights: FloatArray
    bound: float
    met: tuple[IntArray, ...]


def maximised(relaxation: Relaxation, objective: int, limited: IntArray, start: FloatArray) -> Dual:
    """The bound of row `objective` where the rows `limited` are at most 0, from the weights `start`.

    Infinite where a bound lies above all that the objective can be: then no assignment keeps the limits.
    """
    form = relaxation.form
    ceiling = float(form.most()[objective])
    spread = ceiling - float(form.least()[objective]) or 1.0
    box = np.maximum(spread, _GROWTH * start[limited])
    planes: list[FloatArray] = []
    met: dict[bytes, IntArray] = {}
    best, best_bound, trial = start, -np.inf, start
    for _ in range(_STEPS):
        bound, chosen = relaxation.minimum(trial)
        if bound > best_bound:
            best, best_bound = trial, bound
        if bound > ceiling + _CLOSE * (abs(ceiling) + spread):
            return Dual(best, np.inf, ())
        known = chosen.tobytes() in met
        met[chosen.tobytes()] = chosen
        totals = relaxation.counted.totals(chosen)
        planes.append(totals[[objective, *limited]])
        if not len(limited):
            break
        most, outer = _highest(np.array(planes), box)
        if outer is None:  # weights that are not the best are a bound all the same
            break
        if most - best_bound <= _CLOSE * spread:
            inside = outer < box
            if inside.all() or box.max() > _LARGEST * spread:
                break
            box = np.where(inside, box, box * _GROWTH)
            outer = _highest(np.array(planes), box)[1]
            if outer is None:
                break
        trial = best.copy()
        # A plane seen before says nothing new halfway: on to where all of them allow the most.
        trial[limited] += (1.0 if known else _INWARD) * (outer - best[limited])
    return Dual(best, best_bound, tuple(met.values()))


def _highest(planes: FloatArray, box: FloatArray) -> tuple[float, FloatArray | None]:
    """The most that all planes allow for weights from 0 to `box`, and these weights; None where the solver fails."""
    height = np.zeros(planes.shape[1])
    height[0] = -1.0
    above = np.concatenate([np.ones((len(planes), 1)), -planes[:, 1:] * box], axis=1)
    found = linprog(height, A_ub=above, b_ub=planes[:, 0], bounds=[(None, None), *[(0.0, 1.0)] * len(box)])
    if found.fun is None or found.x is None:
        return np.inf, None
    return -float(found.fun), np.clip(found.x[1:], 0.0, 1.0) * box
