"""The drawn problems as forms, and the rows of all their assignments."""

from __future__ import annotations

import numpy as np
from hypothesis import assume

from hwaware.compression.joint.build import Row, form_of, rows_of
from hwaware.compression.joint.form import Form
from hwaware.compression.joint.problem import LOSS
from tests.compression.joint.problems import METERS, Drawn, drawn, every

ROWS = 1 + len(METERS)


def rows_and_limits(case: Drawn) -> tuple[list[Row], np.ndarray]:
    """The loss and all meters, each row with its limit (infinite: none)."""
    rows = [
        Row(LOSS),
        *(row for meter in METERS if meter in case.problem.meters for row in rows_of(case.problem, meter)),
    ]
    return rows, np.array([case.limits.get(row.meter, np.inf) for row in rows])


def formed(seed: int) -> tuple[Form, np.ndarray, np.ndarray]:
    """The form of a drawn problem, the limits of its rows, and the assignments that have finite costs."""
    case = drawn(seed)
    rows, limits = rows_and_limits(case)
    form = form_of(case.problem, rows)
    assume(form is not None)
    assert form is not None
    return form, limits, every(case.problem)[0]


def totals(form: Form, chosen: np.ndarray) -> np.ndarray:
    """The rows of assignments of the problem (assignments × rows); infinite where one of them is gone."""
    found = np.full((len(chosen), len(form.constants)), np.inf)
    for values, originals in zip(found, chosen, strict=True):
        places = form.places(originals)
        if places is not None and form.allows(places):
            values[:] = form.totals(places)
    return found


def inside(form: Form, limits: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Which of the assignments are left in the form and within all limits."""
    return (totals(form, chosen) <= limits).all(axis=1) & np.isfinite(totals(form, chosen)).all(axis=1)
