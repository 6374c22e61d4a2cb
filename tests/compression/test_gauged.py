"""With a device, a budget is one of what is measured there: expansion follows the device, not the table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.compression.budget import Budget
from hwaware.compression.compress import HALP, MORPHNET, Result, compress
from hwaware.compression.gauged import NEAR, closest, trusted
from hwaware.compression.predicted import predicted
from hwaware.costs.model import CostModel
from hwaware.errors import ArtifactError
from hwaware.graph.model import GraphModel
from tests.compression.toys import captured, table

Measure = Callable[[Sequence[GraphModel]], list[float]]


@functools.cache
def latency(model: GraphModel) -> float:
    """Milliseconds, by the table."""
    return predicted(model, CostModel(table(), beyond=False))[1].latency


def device(off: Callable[[float], float], asked: list[int] | None = None) -> Measure:
    """A clock by which models take `off(share)` times what the table says, of the latency of the largest."""

    def measure(models: Sequence[GraphModel]) -> list[float]:
        if asked is not None:
            asked.append(len(models))
        costs = [latency(model) for model in models]
        return [ms * off(ms / max(costs)) for ms in costs]

    return measure


def shrunk(budget: str, measure: Measure, **more: Any) -> Result:
    return compress(captured(), table(), Budget.parse(budget), epochs=3, measure=measure, **more)


def share(result: Result, measure: Measure) -> float:
    whole, ms = measure([result.baseline, result.model])
    return ms / whole


@given(off=st.floats(0.7, 1.4), bend=st.floats(-0.2, 0.2), first=st.floats(0.01, 100))
def test_a_smooth_device_is_hit(off: float, bend: float, first: float) -> None:
    """Where latency is any power near 1 of what is predicted, what is found is within the bar and not above."""

    def share(aim: float) -> float:
        return off * (aim / first) ** (1 + bend)

    assert 1 - NEAR <= share(closest(first, share)) <= 1


@given(steps=st.lists(st.floats(0.3, 1.7), min_size=1, max_size=8, unique=True))
def test_on_a_staircase_the_highest_step_that_was_seen_below_counts(steps: list[float]) -> None:
    seen: list[float] = []

    def share(aim: float) -> float:
        taken = [step for step in sorted(steps) if step <= aim]
        seen.append(taken[-1] if taken else min(steps))
        return seen[-1]

    found = share(closest(1.0, share))
    assert found == max((each for each in seen if each <= 1), default=min(seen))


def test_a_device_that_is_faster_than_the_table_says_leaves_room() -> None:
    clock = device(lambda share: 1.0 if share > 0.999 else 0.8)
    result = shrunk("latency=60%", clock, method=MORPHNET)
    assert share(result, clock) <= 0.6 < result.cost.latency_ms / result.baseline_cost.latency_ms


def test_a_device_that_is_slower_takes_some() -> None:
    clock = device(lambda share: 1.0 if share > 0.999 else 1.25)
    result = shrunk("latency=60%", clock, method=HALP)
    assert share(result, clock) <= 0.6


def test_milliseconds_are_those_of_the_clock() -> None:
    model = captured().model
    assert isinstance(model, GraphModel)
    whole = latency(model)
    clock = device(lambda share: 1.3)
    result = shrunk(f"latency={0.7 * 1.3 * whole:.6f}ms", clock, method=MORPHNET)
    assert 0.5 <= share(result, clock) <= 0.7


def test_where_nothing_is_within_it_the_fastest_counts_and_nothing_slower_comes_out() -> None:
    """A device that takes as long for less: the model that went in comes back."""
    result = shrunk("latency=60%", device(lambda share: 1.01 / share if share < 0.999 else 1.0), method=MORPHNET)
    assert result.model is result.baseline
    assert "nothing was faster" in result.plan.note


def test_an_interrupted_search_does_not_ask_the_device_again_and_refuses_a_damaged_answer(tmp_path: Path) -> None:
    asked: list[int] = []
    clock = device(lambda share: 1.0 if share > 0.999 else 1.1, asked)
    first = shrunk("latency=60%", clock, method=MORPHNET, checkpoints=tmp_path)
    count = len(asked)
    # Of the second run only the finalists are measured.
    second = shrunk("latency=60%", clock, method=MORPHNET, checkpoints=tmp_path)
    assert count > 1
    assert len(asked) == count + 1
    assert second.plan.groups == first.plan.groups
    path = tmp_path / MORPHNET / "gauge.json"
    text = path.read_text()
    start = text.index('"states": [') + len('"states": [')
    path.write_text(text[:start] + '"much"' + text[text.index("]", start) :])
    with pytest.raises(ArtifactError, match="holds no limit"):
        shrunk("latency=60%", clock, method=MORPHNET, checkpoints=tmp_path)


@pytest.mark.parametrize(
    ("shares", "found", "times"), [([1.05], 1.05, 1), ([1.4, 0.98, 1.02], 1.02, 3), ([0.6, 0.61, 1.0], 0.61, 3)]
)
def test_what_is_far_from_the_prediction_is_measured_again(shares: list[float], found: float, times: int) -> None:
    """A disturbance is outvoted; a table that is off stays off."""
    left = list(shares)
    assert trusted(lambda: left.pop(0), 1.0) == found
    assert len(shares) - len(left) == times
