from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.compression.expand import expand, fill, multiplied, next_step
from hwaware.compression.width_costs import WidthCosts
from tests.compression.morphnets import Chain, Depthwise, Residual, prepare
from tests.compression.tables import Formula, multiply_adds, staircase


@pytest.fixture(scope="module")
def costs() -> WidthCosts:
    return prepare(Residual, Formula(staircase)).costs


def equal(costs: WidthCosts) -> dict[str, list[float]]:
    return {name: [1.0] * size for name, size in costs.full.items()}


@given(st.floats(0.35, 0.99), st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_omega_is_maximal(costs: WidthCosts, share: float, seed: int) -> None:
    """The next rounding step of any group breaks the budget."""
    chance = random.Random(seed)  # noqa: S311
    survivors = {name: chance.randint(2, size) for name, size in costs.full.items()}
    limits = {"latency": costs.latency(survivors) / share}
    omega, widths = expand(costs, survivors, limits)
    assert omega >= 1
    assert costs.latency(widths) <= limits["latency"]
    assert widths == multiplied(costs, survivors, omega)
    if widths == costs.full:
        return
    # The smallest ω beyond this one at which a width changes.
    further = min((widths[name] + 0.5) / width for name, width in survivors.items() if widths[name] < costs.full[name])
    assert costs.latency(multiplied(costs, survivors, further * (1 + 1e-9))) > limits["latency"]


@given(st.floats(0.3, 1.0), st.integers(0, 10))
@settings(max_examples=40, deadline=None)
def test_filled_widths_leave_no_room_for_a_step(costs: WidthCosts, share: float, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    start = {name: chance.randint(2, max(2, size // 3)) for name, size in costs.full.items()}
    limits = {"latency": max(share * costs.latency(costs.full), costs.latency(start))}
    filled = fill(costs, start, limits, equal(costs))
    assert costs.latency(filled) <= limits["latency"]
    for name, width in filled.items():
        assert start[name] <= width <= costs.full[name]
        if width < costs.full[name]:
            assert not costs.meets({**filled, name: next_step(costs, filled, name, limits)}, limits)


def test_channels_that_cost_nothing_are_taken() -> None:
    """Only producers cost, padded to vectors of 8: widths end on the tops of steps."""
    costs = prepare(Chain, Formula(lambda work: float(-(-work.output.shape[-1] // 8) * 8))).costs
    start = {"0.0": 9, "2.0": 3}
    filled = fill(costs, start, {"latency": costs.latency(start)}, equal(costs))
    assert filled == {"0.0": 16, "2.0": 8}


def test_rounding_is_by_group_so_coupled_layers_stay_equal() -> None:
    prepared = prepare(Depthwise, Formula(multiply_adds))
    costs = prepared.costs
    survivors = {"first.0": 3, "point.0": 5}
    assert costs.latency(multiplied(costs, survivors, 1.5)) > costs.latency(survivors)
    assert multiplied(costs, survivors, 1.5) == {"first.0": 5, "point.0": 8}


def test_what_has_vanished_stays_away(costs: WidthCosts) -> None:
    survivors = {**dict.fromkeys(costs.full, 4), "first.0": 0}
    _, widths = expand(costs, survivors, {"latency": costs.latency(costs.full)})
    assert widths["first.0"] == 0
    assert fill(costs, widths, {"latency": costs.latency(costs.full)}, equal(costs))["first.0"] == 0


def test_every_limit_holds(costs: WidthCosts) -> None:
    start = dict.fromkeys(costs.full, 4)
    whole = costs.costs(costs.full)
    limits = {"latency": 0.9 * whole.latency, "memory": 0.8 * whole.memory, "size": 0.5 * whole.size}
    filled = fill(costs, start, limits, equal(costs))
    assert costs.meets(filled, limits)
    assert any(width > 4 for width in filled.values())
