from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compression.joint.build import form_of
from hwaware.compression.joint.problem import LOSS
from tests.compression.joint.forms import formed, rows_and_limits, totals
from tests.compression.joint.problems import drawn, every

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=80, deadline=None)
def test_a_problems_form_has_its_costs_and_no_assignment_of_infinite_cost(seed: int) -> None:
    case = drawn(seed)
    rows, _ = rows_and_limits(case)
    form = form_of(case.problem, rows)
    chosen, costs = every(case.problem)
    if form is None:
        assert not len(chosen)
        return
    found = totals(form, chosen)
    np.testing.assert_allclose(found[:, 0], costs[LOSS], atol=1e-12)
    for meter in case.problem.meters:
        own = [at for at, row in enumerate(rows) if row.meter == meter]
        np.testing.assert_allclose(found[:, own].max(axis=1), costs[meter], atol=1e-12)
    left = np.indices(form.sizes).reshape(len(form.sizes), -1).T
    assert sum(form.allows(each) for each in left) == len(chosen)


@given(seed=SEEDS, part=st.floats(0, 1))
@settings(max_examples=80, deadline=None)
def test_a_restricted_form_has_the_same_totals_where_anything_is_left(seed: int, part: float) -> None:
    form, _, chosen = formed(seed)
    chance = np.random.default_rng(seed)
    keep = [chance.random(size) < 0.5 + part / 2 for size in form.sizes]
    allowed = [edge.allowed & (chance.random(edge.allowed.shape) < 0.5 + part / 2) for edge in form.edges]
    left = form.restricted(keep, allowed)
    stays = np.array(
        [
            all(kept[place] for kept, place in zip(keep, places, strict=True))
            and all(
                pairs[edge.of_first[places[edge.first]], edge.of_second[places[edge.second]]]
                for edge, pairs in zip(form.edges, allowed, strict=True)
            )
            for places in map(form.places, chosen)
            if places is not None
        ],
        dtype=np.bool_,
    )
    if left is None:
        assert not stays.any()
        return
    np.testing.assert_allclose(totals(left, chosen[stays]), totals(form, chosen[stays]), atol=1e-12)
    assert np.isinf(totals(left, chosen[~stays])).all()


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_least_and_most_enclose_all_totals(seed: int) -> None:
    form, _, chosen = formed(seed)
    found = totals(form, chosen)
    assert (found >= form.least() - 1e-12).all()
    assert (found <= form.most() + 1e-12).all()


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_a_scaled_form_is_the_form_in_other_units(seed: int) -> None:
    form, _, chosen = formed(seed)
    rows = len(form.constants)
    less, units = np.linspace(-1, 1, rows), np.geomspace(0.1, 10, rows)
    np.testing.assert_allclose(
        totals(form.scaled(less, units), chosen), (totals(form, chosen) - less) / units, atol=1e-11
    )
