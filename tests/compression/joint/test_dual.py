from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from hwaware.compression.joint.bounds import in_limits
from hwaware.compression.joint.dual import maximised
from hwaware.compression.joint.local import improved
from hwaware.compression.joint.minimise import loosened
from hwaware.compression.joint.relaxation import Relaxation
from tests.compression.joint.forms import formed, totals

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_the_bound_is_the_least_of_all_mixtures_of_assignments_within_the_limits(seed: int) -> None:
    """Which is what the best weights of the limits give (Geoffrion 1974): a linear program over all assignments."""
    form, limits, chosen = formed(seed)
    limits = loosened(form, limits)
    limits[0] = np.inf
    assume((form.least() <= limits - 1e-3).all())  # some room: bounds are in units of it
    scaled, limited, _ = in_limits(form, limits)
    rows = totals(scaled, chosen)
    start = np.eye(len(limits))[0]
    dual = maximised(Relaxation(scaled), 0, limited, start)
    mixed = linprog(
        rows[:, 0],
        A_ub=rows[:, limited].T if len(limited) else None,
        b_ub=np.zeros(len(limited)) if len(limited) else None,
        A_eq=np.ones((1, len(rows))),
        b_eq=[1.0],
    )
    if mixed.success:
        spread = float(scaled.most()[0] - scaled.least()[0])
        assert dual.bound == pytest.approx(mixed.fun, abs=1e-5 * spread + 1e-9)
    else:
        assert dual.bound == np.inf


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_single_changes_lead_into_the_limits_and_down_or_nowhere(seed: int) -> None:
    form, limits, chosen = formed(seed)
    scaled, limited, _ = in_limits(form, loosened(form, limits))
    limited = limited[limited != 0]
    for originals in chosen[:20]:
        places = form.places(originals)
        assert places is not None
        found = improved(scaled, places, 0, limited)
        if found is None:
            continue
        assert form.allows(found)
        assert (scaled.totals(found)[limited] <= 1e-12).all()
        if (scaled.totals(places)[limited] <= 0).all():
            assert scaled.totals(found)[0] <= scaled.totals(places)[0] + 1e-12
