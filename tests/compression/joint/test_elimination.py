"""Minimum and min-marginals beside brute force over all values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compression.joint import elimination
from hwaware.compression.joint.elimination import Elimination

SEEDS = st.integers(0, 10**6)


@dataclass(frozen=True, eq=False)
class Terms:
    """Variables and terms, and the sum of the terms at every point (one axis for each variable)."""

    sizes: list[int]
    pairs: list[tuple[int, int]]
    unary: list[np.ndarray]
    theta: list[np.ndarray]

    def totals(self, left_out: tuple[int, ...] = ()) -> np.ndarray:
        grid = np.indices(self.sizes)
        total = sum((values[grid[variable]] for variable, values in enumerate(self.unary)), np.zeros(self.sizes))
        for index, (pair, matrix) in enumerate(zip(self.pairs, self.theta, strict=True)):
            if index not in left_out:
                total = total + matrix[grid[pair[0]], grid[pair[1]]]
        return np.asarray(total)


def terms(seed: int) -> Terms:
    """Up to six variables, in several pieces or none; some entries infinite."""
    chance = np.random.default_rng(seed)
    sizes = chance.integers(1, 5, int(chance.integers(1, 7))).tolist()
    both = [(one, two) for one in range(len(sizes)) for two in range(len(sizes)) if one != two]
    pairs = [pair for pair in both if chance.random() < 0.3]
    theta = [chance.uniform(-1, 1, (sizes[one], sizes[two])) for one, two in pairs]
    for matrix in theta:
        matrix[chance.random(matrix.shape) < 0.1] = np.inf
    return Terms(sizes, pairs, [chance.uniform(-1, 1, size) for size in sizes], theta)


@given(seed=SEEDS)
@settings(max_examples=200, deadline=None)
def test_the_minimum_is_that_of_brute_force(seed: int) -> None:
    case = terms(seed)
    least, chosen = Elimination(case.sizes, case.pairs).minimum(case.unary, case.theta)
    assert least == pytest.approx(case.totals().min())
    if np.isfinite(least):
        assert case.totals()[tuple(chosen)] == pytest.approx(least)


@given(seed=SEEDS)
@settings(max_examples=200, deadline=None)
def test_marginals_are_the_least_with_each_value_and_each_pair(seed: int) -> None:
    case = terms(seed)
    singles, doubles = Elimination(case.sizes, case.pairs).marginals(case.unary, case.theta)
    total, axes = case.totals(), range(len(case.sizes))
    for variable, single in enumerate(singles):
        np.testing.assert_allclose(single, total.min(axis=tuple(axis for axis in axes if axis != variable)))
    assert set(doubles) == set(range(len(case.pairs)))
    for index, double in doubles.items():
        one, two = case.pairs[index]
        least = total.min(axis=tuple(axis for axis in axes if axis not in (one, two)))
        np.testing.assert_allclose(double, least if one < two else least.T)


@given(seed=SEEDS)
@settings(max_examples=60, deadline=None)
def test_where_tables_would_be_too_large_it_is_exact_without_the_terms_it_names(seed: int) -> None:
    case = terms(seed)
    before = elimination.MOST_ENTRIES
    elimination.MOST_ENTRIES = 8
    try:
        small = Elimination(case.sizes, case.pairs)
    finally:
        elimination.MOST_ENTRIES = before
    total = case.totals(tuple(small.loose))
    assert small.minimum(case.unary, case.theta)[0] == pytest.approx(total.min())
    assert not set(small.marginals(case.unary, case.theta)[1]) & set(small.loose)
