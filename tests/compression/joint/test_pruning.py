"""What each step before the integer program removes is never the best."""

from __future__ import annotations

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hwaware.compression.joint.bounds import bounded, within
from hwaware.compression.joint.dominance import undominated
from hwaware.compression.joint.minimise import loosened
from hwaware.compression.joint.pairs import as_pairs
from tests.compression.joint.forms import formed, inside, totals

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=100, deadline=None)
def test_beside_each_removed_assignment_an_undominated_one_is_no_worse_in_any_row(seed: int) -> None:
    form, _, chosen = formed(seed)
    before, after = totals(form, chosen), totals(undominated(form), chosen)
    left = after[np.isfinite(after).all(axis=1)]
    for gone in before[np.isinf(after).any(axis=1)]:
        assert (left <= gone + 1e-12).all(axis=1).any()


@given(seed=SEEDS)
@settings(max_examples=100, deadline=None)
def test_within_limits_and_as_pairs_nothing_that_keeps_them_is_lost(seed: int) -> None:
    """And a limit that has become pairs is kept by all that is left."""
    form, limits, chosen = formed(seed)
    limits = loosened(form, limits)
    keeps = inside(form, limits, chosen)
    left = within(form, limits)
    assert left is not None or not keeps.any()
    assume(left is not None)
    assert left is not None
    assert inside(left, limits, chosen[keeps]).all()
    paired = as_pairs(left, limits)
    assert paired is not None or not keeps.any()
    if paired is not None:
        np.testing.assert_array_equal(inside(*paired, chosen), keeps)


@given(seed=SEEDS)
@settings(max_examples=100, deadline=None)
def test_bounds_are_below_and_pruning_keeps_all_as_good_as_what_is_known(seed: int) -> None:
    form, limits, chosen = formed(seed)
    limits = loosened(form, limits)
    limits[0] = np.inf
    left = within(form, limits)
    assume(left is not None)
    assert left is not None
    state = bounded(left, 0, limits, None, None)
    losses = totals(form, chosen)[inside(form, limits, chosen)][:, 0]
    if state is None:
        assert not len(losses)
        return
    assert (losses >= state.dual.bound - 1e-9).all()
    if state.best is None:
        return
    assert state.best.value >= losses.min() - 1e-9
    assert inside(form, limits, state.best.chosen[None, :]).all()
    core = state.pruned(state.best.value)
    assert core is not None
    as_good = inside(form, limits, chosen) & (totals(form, chosen)[:, 0] <= state.best.value)
    assert inside(core, limits, chosen[as_good]).all()
