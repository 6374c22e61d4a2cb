from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwaware.compression.joint.program import Program
from tests.compression.joint.forms import formed, inside, totals

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=40, deadline=None)
def test_its_minimum_is_that_of_brute_force(seed: int) -> None:
    form, limits, chosen = formed(seed)
    limits = limits + 1e-6
    limited = np.flatnonzero(np.isfinite(limits))
    program = Program(form)
    answer = program.minimised(program.rows[0], program.rows[limited], (limits - form.constants)[limited], form.allows)
    losses = totals(form, chosen)[inside(form, limits, chosen)][:, 0]
    assert (answer is None) == (not len(losses))
    if answer is not None:
        assert form.totals(answer.chosen)[0] == pytest.approx(losses.min(), abs=1e-5)
        assert answer.gap <= 1e-5


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_assignments_that_do_not_hold_are_passed_over_in_order_until_none_is_left(seed: int) -> None:
    form, _, chosen = formed(seed)
    assume(len(chosen) <= 12)
    program = Program(form)
    met: list[float] = []

    def refused(places: np.ndarray) -> bool:
        met.append(float(form.totals(places)[0]))
        return False

    nothing = np.zeros((0, program.count))
    assert program.minimised(program.rows[0], nothing, np.zeros(0), refused) is None
    assert met == pytest.approx(sorted(totals(form, chosen)[:, 0]), abs=1e-6)


@given(seed=SEEDS)
@settings(max_examples=15, deadline=None)
def test_a_column_beyond_the_unknowns_may_take_any_value(seed: int) -> None:
    form, _, chosen = formed(seed)
    assume(len(chosen) > 0)
    program = Program(form)
    row = np.append(program.rows[0], -1.0)  # the loss is at most the unknown, which is as low as can be
    answer = program.minimised(np.eye(program.count + 1)[-1], row[None, :], np.array([-form.constants[0]]), form.allows)
    assert answer is not None
    assert form.totals(answer.chosen)[0] == pytest.approx(totals(form, chosen)[:, 0].min(), abs=1e-6)
