"""Laws of the interpolation weights."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.costs.interpolate import Point, weights_at

AXIS = st.lists(st.integers(1, 64), min_size=2, max_size=5, unique=True)
GRIDS = st.lists(AXIS, min_size=1, max_size=3).map(
    lambda axes: [tuple(map(float, point)) for point in itertools.product(*axes)]
)
SCATTERED = st.sets(st.tuples(st.integers(1, 64), st.integers(1, 64)), min_size=3, max_size=12).map(
    lambda points: sorted((float(a), float(b)) for a, b in points)
)


def inside(points: list[Point], shares: list[float]) -> Point:
    """A whole-numbered point of the points' box."""
    axes = list(zip(*points, strict=True))
    return tuple(
        float(round(min(axis) + (max(axis) - min(axis)) * share))
        for axis, share in zip(axes, itertools.cycle(shares), strict=False)
    )


@given(points=st.one_of(GRIDS, SCATTERED), shares=st.lists(st.floats(0, 1), min_size=3, max_size=3))
@settings(deadline=None, max_examples=50)
def test_weights_are_positive_and_their_mean_is_the_query(points: list[Point], shares: list[float]) -> None:
    query = inside(points, shares)
    weights = weights_at(points, query)
    if weights is None:
        return
    assert set(weights) <= set(points)
    assert all(weight > 0 for weight in weights.values())
    assert math.isclose(sum(weights.values()), 1, abs_tol=1e-9)
    for axis, at in enumerate(query):
        mean = sum(point[axis] * weight for point, weight in weights.items())
        assert math.isclose(mean, at, abs_tol=1e-5)


@given(points=GRIDS, shares=st.lists(st.floats(0, 1), min_size=3, max_size=3))
@settings(deadline=None, max_examples=50)
def test_a_grid_answers_everywhere_between_its_points(points: list[Point], shares: list[float]) -> None:
    assert weights_at(points, inside(points, shares)) is not None


@given(points=st.one_of(GRIDS, SCATTERED), data=st.data())
@settings(deadline=None, max_examples=50)
def test_exact_at_the_points(points: list[Point], data: st.DataObject) -> None:
    point = data.draw(st.sampled_from(points))
    assert weights_at(points, point) == {point: 1.0}


@given(points=st.one_of(GRIDS, SCATTERED), axis=st.integers(0, 2), beyond=st.integers(1, 9))
@settings(deadline=None, max_examples=50)
def test_nothing_is_extrapolated(points: list[Point], axis: int, beyond: int) -> None:
    axis = min(axis, len(points[0]) - 1)
    top = max(point[axis] for point in points)
    query = (*points[0][:axis], top + beyond, *points[0][axis + 1 :])
    assert weights_at(points, query) is None


def test_points_on_a_diagonal_answer_on_it_only() -> None:
    diagonal = [(4.0, 8.0), (8.0, 16.0), (16.0, 32.0)]
    assert weights_at(diagonal, (12.0, 24.0)) == pytest.approx({(8.0, 16.0): 0.5, (16.0, 32.0): 0.5})
    assert weights_at(diagonal, (12.0, 20.0)) is None


def test_a_line_of_its_own_is_preferred_to_a_plane() -> None:
    """Copies of two layers in one family: (rows, elements)."""
    points = [(49.0, 8.0), (49.0, 64.0), (196.0, 4.0), (196.0, 16.0), (196.0, 32.0)]
    assert weights_at(points, (49.0, 36.0)) == {(49.0, 8.0): 0.5, (49.0, 64.0): 0.5}


@pytest.mark.parametrize("query", [(1.0,), (1.0, 2.0)])
def test_no_points_no_answer(query: Point) -> None:
    assert weights_at([], query) is None
