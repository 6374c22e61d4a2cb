from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compression.joint import elimination
from hwaware.compression.joint.relaxation import Relaxation
from tests.compression.joint.forms import formed, totals

SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=80, deadline=None)
def test_minimum_and_marginals_are_those_of_the_weighted_rows(seed: int) -> None:
    form, _, chosen = formed(seed)
    weights = np.random.default_rng(seed).uniform(0, 2, len(form.constants))
    sums = totals(form, chosen) @ weights
    relaxation = Relaxation(form)
    least, places = relaxation.minimum(weights)
    assert least == pytest.approx(min(sums, default=np.inf), abs=1e-9)
    if len(sums):
        assert form.totals(places) @ weights == pytest.approx(least, abs=1e-9)
    choices, pairs = relaxation.marginals(weights)
    for group, (values, originals) in enumerate(zip(choices, form.origin, strict=True)):
        for value, original in zip(values, originals, strict=True):
            assert value == pytest.approx(min(sums[chosen[:, group] == original], default=np.inf), abs=1e-9)
    where = np.array([form.places(each) for each in chosen]).reshape(-1, len(form.sizes))
    for edge, matrix in zip(form.edges, pairs, strict=True):
        first, second = edge.of_first[where[:, edge.first]], edge.of_second[where[:, edge.second]]
        for (one, two), value in np.ndenumerate(matrix):
            assert value == pytest.approx(min(sums[(first == one) & (second == two)], default=np.inf), abs=1e-9)


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_without_some_edges_they_are_lower_bounds(seed: int) -> None:
    form, _, chosen = formed(seed)
    weights = np.random.default_rng(seed).uniform(0, 2, len(form.constants))
    sums = totals(form, chosen) @ weights
    before = elimination.MOST_ENTRIES
    elimination.MOST_ENTRIES = 6
    try:
        relaxation = Relaxation(form)
    finally:
        elimination.MOST_ENTRIES = before
    assert (relaxation.minimum(weights)[0] <= sums + 1e-9).all()
    choices, pairs = relaxation.marginals(weights)
    for each, total in zip(chosen, sums, strict=True):
        places = form.places(each)
        assert places is not None
        assert all(bounds[place] <= total + 1e-9 for bounds, place in zip(choices, places, strict=True))
        for edge, bounds in zip(form.edges, pairs, strict=True):
            assert bounds[edge.of_first[places[edge.first]], edge.of_second[places[edge.second]]] <= total + 1e-9
