"""What bounds leave of a form, and the best assignment met while bounding it.

Weights of the limits give a lower bound (`dual`), single changes a good assignment (`local`), and every choice and
pair whose own bound lies above that assignment goes (variable fixing by reduced costs, with min-marginals in their
place). Fewer choices may allow a better bound: that is repeated while it pays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwaware.compression.joint.dual import Dual, maximised
from hwaware.compression.joint.form import FloatArray, Form, IntArray
from hwaware.compression.joint.local import improved
from hwaware.compression.joint.relaxation import Relaxation

# A limit counts as kept, and two objectives as the same, up to this part of them.
SLACK = 1e-9
# What a sum may be off by, as a part of the sum of its terms without their signs.
ROUNDING = 1e-13
# Bounding again pays where less than this part of the choices is left; the last assignments met are the best starts.
_SHRUNK, _STARTS = 0.8, 12


@dataclass(frozen=True, eq=False)
class Assignment:
    """Positions in the problem, and the objective there."""

    chosen: IntArray
    value: float


@dataclass(frozen=True, eq=False)
class Bounded:
    """A form, the bound of its best weights and the best assignment known."""

    form: Form
    relaxation: Relaxation  # of the form in units of its limits
    dual: Dual
    weights: FloatArray  # in the form's own units
    best: Assignment | None

    def pruned(self, upper: float) -> Form | None:
        """Without the choices and pairs whose own bound is above `upper`; None where nothing is left."""
        choices, pairs = self.relaxation.marginals(self.dual.weights)
        upper += SLACK * abs(upper) + ROUNDING * float(self.weights @ self.form.magnitude())
        return self.form.restricted([each <= upper for each in choices], [each <= upper for each in pairs])


def in_limits(form: Form, limits: FloatArray) -> tuple[Form, IntArray, FloatArray]:
    """The form with each limited row less its limit, in units of the room that the limit leaves.

    Beside it which rows those are, the ones that can be above their limit at all, and the units of all rows.
    """
    limited = np.flatnonzero(np.isfinite(limits) & (form.most() > limits))
    units = np.ones(len(limits))
    less = np.zeros(len(limits))
    less[limited] = limits[limited]
    # Where there is no room, one that rounding cannot tell from none: a unit must not be zero.
    least_room = ROUNDING * np.maximum(form.magnitude(), np.abs(less))
    units[limited] = np.maximum(less - form.least(), least_room)[limited]
    return form.scaled(less, units), limited, units


def within(form: Form, limits: FloatArray) -> Form | None:
    """Without what is above a limit whatever the other groups choose, again until no more goes; None: nothing is left.

    Then no choice and no pair adds more to a row than the limit has room for: the integer program is well scaled.
    """
    left = _once_within(form, limits)
    while left is not None and left.unknowns < form.unknowns:
        form, left = left, _once_within(left, limits)
    return left


def _once_within(form: Form, limits: FloatArray) -> Form | None:
    keep = [np.ones(size, dtype=np.bool_) for size in form.sizes]
    allowed = [edge.allowed.copy() for edge in form.edges]
    least = form.least()
    relaxation = Relaxation(form)
    for row in np.flatnonzero(np.isfinite(limits) & (form.most() > limits)):
        if any((edge.rows == row).any() for edge in form.edges):
            choices, pairs = relaxation.marginals(np.eye(len(limits))[row])
        else:
            choices, pairs = [least[row] + values[row] - values[row].min() for values in form.unary], []
        for kept, bound in zip([*keep, *allowed], [*choices, *pairs], strict=False):
            np.logical_and(kept, bound <= limits[row], out=kept)
    return form.restricted(keep, allowed)


def bounded(
    form: Form, objective: int, limits: FloatArray, best: Assignment | None, weights: FloatArray | None
) -> Bounded | None:
    """The form pruned by its bounds; None where they show that nothing is within the limits.

    `best` is an assignment within the limits, `weights` (of all rows) where to begin.
    """
    while True:
        scaled, limited, units = in_limits(form, limits)
        relaxation = Relaxation(scaled)
        start = np.zeros(len(limits))
        if weights is not None:
            start[limited] = (weights * units)[limited]
        start[objective] = 1.0
        dual = maximised(relaxation, objective, limited, start)
        if dual.bound == np.inf:
            return None
        weights = dual.weights / units
        for chosen in dual.met[-_STARTS:]:
            found = improved(scaled, chosen, objective, limited)
            if found is not None:
                value = float(form.totals(found)[objective])
                if best is None or value < best.value:
                    best = Assignment(form.originals(found), value)
        state = Bounded(form, relaxation, dual, weights, best)
        if best is None:
            return state
        smaller = state.pruned(best.value)
        if smaller is None or sum(smaller.sizes) > _SHRUNK * sum(form.sizes):
            return state
        form = smaller
