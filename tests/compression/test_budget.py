from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.compression.budget import Budget, Costs, conflicting, unreachable, within
from hwaware.errors import BudgetError

WHOLE = Costs(latency=20.0, memory=2**20, size=2**19)


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("latency=60%", {"latency": 12.0}),
        ("latency=12ms", {"latency": 12.0}),
        ("latency=250us", {"latency": 0.25}),
        ("latency=0.5s", {"latency": 500.0}),
        ("memory=256KiB", {"memory": 2.0**18}),
        ("memory=1MiB , size = 50 %", {"memory": 2.0**20, "size": 2.0**18}),
        ("size=4096", {"size": 4096.0}),
        ("latency=100%", {"latency": 20.0}),
    ],
)
def test_amounts(text: str, limits: dict[str, float]) -> None:
    assert Budget.parse(text).limits(WHOLE) == limits


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latency=abc", "latency=abc"),
        ("latency=", "latency="),
        ("latency", "latency"),
        ("speed=60%", "speed"),
        ("latency=-5ms", "-5ms"),
        ("latency=0%", "more than nothing"),
        ("latency=101%", "at most 100 %"),
        ("latency=12KiB", "12KiB"),
        ("memory=12ms", "12ms"),
        ("latency=nan%", "nan%"),
        ("latency=1e9ms", "1e9ms"),
        ("latency=60%,latency=50%", "twice"),
        ("", "limits nothing"),
        ("latency=" + "9" * 400 + "ms", "more than nothing"),
    ],
)
def test_nonsense_is_refused_in_one_line(text: str, said: str) -> None:
    with pytest.raises(BudgetError) as caught:
        Budget.parse(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "latency=60%" in str(caught.value)  # an example of what to write


@given(st.text())
def test_any_text_is_a_budget_or_a_refusal(text: str) -> None:
    with contextlib.suppress(BudgetError):
        assert all(limit > 0 for limit in Budget.parse(text).limits(WHOLE).values())


def test_keywords_are_as_good_as_text() -> None:
    assert Budget(latency="60%", size="10KiB") == Budget.parse("size=10KiB,latency=60%")
    assert str(Budget(latency="60%", size="10KiB")) == "latency=60%,size=10KiB"


def test_within_looks_at_every_limit() -> None:
    assert within(WHOLE, {"latency": 20.0, "size": 2**19})
    assert not within(WHOLE, {"latency": 20.0, "size": 2**19 - 1})


def test_unreachable_names_the_nearest_budget_that_is_reachable() -> None:
    least = Costs(latency=6.1, memory=1000, size=500)
    budget = Budget.parse("latency=5%,size=50%")
    error = unreachable(budget, WHOLE, least, "the narrowest widths the table has give")
    assert str(error) == (
        "latency=5% cannot be reached: the narrowest widths the table has give 31 % (6.1 ms); "
        "ask for latency=31%,size=50% or more"
    )
    nearest = Budget.parse("latency=31%,size=50%")
    assert within(least, nearest.limits(WHOLE))


def test_limits_that_conflict_are_told_with_what_each_could_be() -> None:
    error = str(conflicting(Budget.parse("latency=20%,size=10%"), WHOLE, {"latency": 0.305 * WHOLE.latency}))
    assert error.startswith("latency=20%,size=10% can each be kept, but not together: ask for latency=31% (")
    assert "size=" not in error.partition("ask for")[2]
    assert str(conflicting(Budget.parse("latency=20%,size=10%"), WHOLE, {})).endswith("ask for more of several")
