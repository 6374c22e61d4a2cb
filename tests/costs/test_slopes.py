"""Secant slopes and step tops of staircases."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.costs.model import CostModel
from hwaware.costs.slopes import slope, step_top
from hwaware.costs.steps import padded
from hwaware.errors import MissingCostError
from tests.costs.tables import LANES, conv, grid_table, pool, row, table
from tests.costs.test_model import COSTS, INS, OUTS, staircase


@given(inside=st.integers(2, 32), outside=st.integers(4, 32))
@settings(deadline=None, max_examples=50)
def test_slopes_are_never_zero_and_never_negative(inside: int, outside: int) -> None:
    assert slope(COSTS, conv(inside, outside), 0) > 0
    assert slope(COSTS, conv(inside, outside), 1) > 0


def test_slope_of_the_output_reaches_down_to_the_next_step() -> None:
    # 32 channels are four vectors, 24 three: eight channels cost one vector.
    step = (staircase((8, 32)) - staircase((8, 24))) / 1e6
    assert slope(COSTS, conv(8, 32), 1) == pytest.approx(step / 8, rel=1e-3)
    # 27 are padded to 28; the next lower top is 26, one channel below.
    step = (staircase((8, 27)) - staircase((8, 26))) / 1e6
    assert slope(COSTS, conv(8, 27), 1) == pytest.approx(step, rel=1e-3)


def test_slope_of_a_plateau_reaches_past_it() -> None:
    flat = CostModel(
        grid_table(conv(4, 4), itertools.product((8,), (8, 16, 24, 32)), lambda at: 1000 if at[1] > 8 else 400)
    )
    assert slope(flat, conv(8, 32), 1) == pytest.approx(600e-6 / 24, rel=1e-3)


def test_slope_at_the_lowest_width_is_that_to_nothing() -> None:
    assert slope(COSTS, conv(2, 4), 1) == pytest.approx(staircase((2, 4)) / 4e6, rel=1e-3)


def test_a_narrower_operation_that_is_dearer_saves_nothing() -> None:
    costs = CostModel(table([row(pool(width), ns) for width, ns in ((4, 300), (8, 1300), (16, 1000))]))
    assert slope(costs, pool(16), 0) == pytest.approx(700e-6 / 12, rel=1e-2)


@given(inside=st.sampled_from(INS), outside=st.integers(4, 32))
@settings(deadline=None, max_examples=50)
def test_step_top_is_the_padded_width(inside: int, outside: int) -> None:
    assert step_top(COSTS, conv(inside, 32), 1, outside) == min(max(OUTS), padded(outside, LANES))


@given(width=st.integers(2, 32))
@settings(deadline=None, max_examples=50)
def test_step_top_of_an_input_is_itself(width: int) -> None:
    assert step_top(COSTS, conv(32, 32), 0, width) == width


def test_slope_of_what_is_missing_is_an_error() -> None:
    with pytest.raises(MissingCostError):
        slope(COSTS, conv(64, 64), 0)
