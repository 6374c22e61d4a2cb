"""The nearest budgets that can be reached, for the refusal of those that cannot."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import ROUND_CEILING, Context, Decimal

import numpy as np

from hwaware.compression.joint.bounds import SLACK, in_limits, within
from hwaware.compression.joint.build import Row, form_of, rows_of
from hwaware.compression.joint.dominance import undominated
from hwaware.compression.joint.form import FloatArray, Form, IntArray
from hwaware.compression.joint.minimise import ROOM, loosened, minimised
from hwaware.compression.joint.problem import Problem
from hwaware.compression.joint.program import Program
from hwaware.errors import BudgetError


def least(problem: Problem, meter: str, limits: Mapping[str, float]) -> float | None:
    """The least that `meter` can be within `limits` on other meters; None where nothing is within them."""
    own = rows_of(problem, meter)
    rows = [*own, *(row for other in limits if other != meter for row in rows_of(problem, other))]
    form = form_of(problem, rows)
    if form is None:
        return None
    form = undominated(form)
    highs = np.array([np.inf if row in own else limits[row.meter] for row in rows])
    if own == [Row(meter)]:
        found = minimised(form, 0, highs)
        chosen = None if found is None else found.chosen
    else:
        chosen = _lowest_peak(form, len(own), highs)
    if chosen is None:
        return None
    return problem.cost(meter, {group.name: int(at) for group, at in zip(problem.groups, chosen, strict=True)})


def refusal(problem: Problem, limits: Mapping[str, float]) -> BudgetError:
    """Why nothing is within `limits`, with the least that could be asked for."""
    limits = {meter: limit for meter, limit in limits.items() if limit < math.inf}
    alone = {meter: least(problem, meter, {}) for meter in limits}
    if not limits or None in alone.values():
        return BudgetError("every combination of choices has an infinite cost somewhere; give the groups more choices")
    short = [
        f"no choices have a {meter} of {_plain(limits[meter])}: ask for {_up(low)} or more"
        for meter, low in alone.items()
        if low is not None and low > limits[meter] + SLACK * abs(limits[meter])
    ]
    if short:
        return BudgetError("; ".join(short))
    asked = " and ".join(f"{meter} of {_plain(limit)}" for meter, limit in limits.items())
    kept = {meter: least(problem, meter, limits) for meter in limits}
    ways = " or ".join(f"{meter} of {_up(low)}" for meter, low in kept.items() if low is not None)
    return BudgetError(f"a {asked} can each be had, but not together: ask for {ways or 'more of several'}")


def _lowest_peak(form: Form, own: int, limits: FloatArray) -> IntArray | None:
    """Where the highest of the first `own` rows is least: the program with one more unknown, above all of them."""
    begin = minimised(form, int(form.least()[:own].argmax()), limits)
    if begin is None:
        return None
    totals = form.totals(np.array([np.flatnonzero(o == c)[0] for o, c in zip(form.origin, begin.chosen, strict=True)]))
    peak = float(totals[:own].max())
    limits = loosened(form, limits)
    left = within(form, loosened(form, np.where(np.arange(len(limits)) < own, peak, limits)))
    unit = 0.0 if left is None else (peak - float(left.least()[:own].max())) / ROOM
    if left is None or unit <= 0:
        return begin.chosen
    scaled, limited, _ = in_limits(left, limits)
    program = Program(scaled)
    answer = program.minimised(
        np.eye(program.count + 1)[-1],
        np.block(
            [
                [program.rows[:own] / unit, -np.ones((own, 1))],
                [program.rows[limited] * ROOM, np.zeros((len(limited), 1))],
            ]
        ),
        np.concatenate([(peak - scaled.constants[:own]) / unit, -scaled.constants[limited] * ROOM]),
        lambda chosen: left.allows(chosen) and bool((left.totals(chosen)[own:] <= limits[own:]).all()),
    )
    return begin.chosen if answer is None else left.originals(answer.chosen)


def _up(value: float) -> str:
    """The value, rounded so that what is printed can be asked for."""
    near = Decimal(_plain(value))
    short = float(near) < value - SLACK * abs(value)
    return f"{Context(prec=6, rounding=ROUND_CEILING).create_decimal(value) if short else near:f}"


def _plain(value: float) -> str:
    """Six digits, without an exponent."""
    return f"{Decimal(f'{value:.6g}'):f}"
