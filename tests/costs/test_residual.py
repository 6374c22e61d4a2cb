"""The Gaussian process over what counting leaves: exact where measured, doubtful far away, a covariance always."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.costs.residual import Place, Places, Residual, Spread, _covariance
from hwaware.costs.row import ALONE, GRAPH

PLACES = st.builds(
    lambda anchor, steps, inside, outside, state: Place(anchor, f"{anchor}|{steps}", (inside, outside), 8, state),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "relu"]),
    st.integers(1, 300),
    st.integers(1, 300),
    st.sampled_from([ALONE, GRAPH]),
)


def place(inside: int, outside: int, anchor: str = "a") -> Place:
    return Place(anchor, f"{anchor}|relu", (inside, outside), 8, GRAPH)


@given(places=st.lists(PLACES, min_size=1, max_size=25))
@settings(deadline=None)
def test_what_is_alike_is_a_covariance(places: list[Place]) -> None:
    known = Places(places)
    matrix = _covariance(known.compared(known), Spread())
    assert np.allclose(matrix, matrix.T)
    assert np.linalg.eigvalsh(matrix).min() > -1e-9


@given(places=st.lists(PLACES, min_size=1, max_size=15, unique=True), seed=st.integers(0, 99))
@settings(deadline=None)
def test_it_passes_through_what_was_measured_without_noise(places: list[Place], seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    logs = np.array([draw.gauss(0, 0.03) for _ in places])
    unlike = Spread(noise=1e-4)
    # Widths that fall on one point and tail are one place to it.
    distinct = len({(one.anchor, one.family, one.octaves, one.tail, one.state) for one in places}) == len(places)
    found = [Residual(places, logs, np.zeros(len(logs)), unlike).at(one) for one in places]
    if distinct:
        assert [mean for mean, _ in found] == pytest.approx(list(logs), abs=0.02)
    assert all(spread >= unlike.noise for _, spread in found)


def test_doubt_grows_with_the_distance_and_is_greatest_for_what_is_new() -> None:
    process = Residual([place(16, 16), place(32, 16)], np.array([0.1, 0.1]), np.zeros(2), Spread())
    doubts = [process.at(one)[1] for one in (place(16, 16), place(20, 16), place(256, 16), place(16, 16, "new"))]
    assert doubts == sorted(doubts)
    assert doubts[0] < 0.03 < doubts[-1]


def test_an_unknown_anchor_is_answered_by_the_counts_alone() -> None:
    process = Residual([place(16, 16)], np.array([0.4]), np.zeros(1), Spread())
    assert process.at(place(16, 16, "new"))[0] == pytest.approx(0.0, abs=1e-9)
