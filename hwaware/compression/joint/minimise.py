"""The exact least of one row of a form while others keep their limits.

Bounds first (`bounds`), the integer program last (`program`), on the choices that bounds leave. Its answers are checked
in float64 against the limits themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwaware.compression.joint.bounds import ROUNDING, SLACK, Assignment, Bounded, bounded, in_limits, within
from hwaware.compression.joint.form import FloatArray, Form, IntArray
from hwaware.compression.joint.pairs import as_pairs
from hwaware.compression.joint.program import Program

# Guesses of the objective where nothing is known: the first's share of the way from the bound to the most there can
# be, and how shares grow.
_SHARE, _GROWTH = 1 / 64, 4.0
# The room of each limit, and of the objective, in the program: the solver's tolerances of 1e-6 are then below SLACK.
ROOM = 1e3


@dataclass(frozen=True, eq=False)
class Minimum:
    """The best assignment (positions in the problem), its objective, and all that may be as good (`core`)."""

    chosen: IntArray
    value: float
    gap: float  # how far below `value` the objective may still be by what was proved
    core: Form
    weights: FloatArray  # of all rows, where the bound was best


def loosened(form: Form, limits: FloatArray) -> FloatArray:
    """The limits as they count: with what rounding may add, and a little more."""
    return limits + SLACK * np.abs(limits) + ROUNDING * form.magnitude()


def minimised(
    form: Form, objective: int, limits: FloatArray, known: IntArray | None = None, weights: FloatArray | None = None
) -> Minimum | None:
    """The least of row `objective` where each other row is within its limit (infinite: none); None where nothing is.

    `known` is an assignment within the limits (positions in the problem), `weights` those of a problem much like it.
    Raises RuntimeError where the integer program fails.
    """
    limits = loosened(form, limits)
    limits[objective] = np.inf
    left = within(form, limits)
    if left is None:
        return None
    paired = as_pairs(left, limits)
    if paired is None:
        return None
    left, limits = paired
    places = None if known is None else left.places(known)
    best = None if known is None or places is None else Assignment(known, float(left.totals(places)[objective]))
    state = bounded(left, objective, limits, best, weights)
    return None if state is None else _decided(state, objective, limits)


def _decided(state: Bounded, objective: int, limits: FloatArray) -> Minimum | None:
    """The least of what bounds have left: of all as good as what is known, or else as a guess.

    All that is as good as a guess is in the guess's core: where the core's best is as good, it is the best of all.
    """
    known = None if state.best is None else state.best.value
    bound = state.dual.bound
    most, share = float(state.form.most()[objective]), _SHARE
    while known is None:
        guess = min(most, bound + share * (most - bound))
        found = _least(state, objective, limits, guess)
        if found is not None and found.value <= guess:
            return found
        if guess == most:
            return None
        known = None if found is None else found.value
        share *= _GROWTH
    # Presolve has been wrong in other programs: where it misses what is known, there is a second opinion without.
    as_good = known + SLACK * abs(known) + ROUNDING * float(state.form.magnitude()[objective])
    for presolve in (True, False):
        found = _least(state, objective, limits, known, presolve)
        if found is not None and found.value <= as_good:
            return found
    raise RuntimeError("HiGHS has missed an assignment that is within the limits")


def _least(state: Bounded, objective: int, limits: FloatArray, upper: float, presolve: bool = True) -> Minimum | None:
    """The best of what may have an objective of `upper` or less, by the integer program; None where that has none."""
    core = state.pruned(upper)
    core = core and within(core, limits)
    if core is None:
        return None
    scaled, limited, _ = in_limits(core, limits)
    program = Program(scaled)
    extent = float(core.most()[objective] - core.least()[objective])
    unit = max(upper - state.dual.bound, 1e-6 * extent) / ROOM or 1.0
    answer = program.minimised(
        program.rows[objective] / unit,
        program.rows[limited] * ROOM,
        -scaled.constants[limited] * ROOM,
        lambda chosen: core.allows(chosen) and bool((core.totals(chosen) <= limits).all()),
        presolve,
    )
    if answer is None:
        return None
    value = float(core.totals(answer.chosen)[objective])
    left = state.pruned(value)
    assert left is not None
    return Minimum(core.originals(answer.chosen), value, answer.gap * unit, left, state.weights)
