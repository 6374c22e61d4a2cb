"""Which runs count: laws over random ones, and that a search for good ones ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hwaware.profiling.spells import ENOUGH, SLOW, undisturbed, wanting

TIMES = st.lists(st.floats(0.1, 10), min_size=1, max_size=20)


@given(TIMES)
def test_the_fastest_counts_and_what_counts_is_near_it(times: list[float]) -> None:
    kept = undisturbed(times, float)
    assert min(times) in kept
    assert max(kept) <= SLOW * min(times)
    assert [time for time in times if time in kept] == kept  # in their order, none lost


@given(TIMES, st.floats(1.2, 5))
def test_a_slow_spell_changes_nothing(times: list[float], factor: float) -> None:
    slowed = [factor * max(times)] * 3
    assert undisturbed([*slowed, *times], float) == undisturbed(times, float)


def test_runs_are_wanting_until_enough_agree() -> None:
    assert wanting([], float, 1)
    assert not wanting([3.0], float, 1)  # no more than was planned
    steady = [1.0] * ENOUGH
    assert wanting(steady, float, ENOUGH + 2)
    assert not wanting([*steady, 2.0, 2.0], float, ENOUGH + 2)
    assert wanting([*steady[1:], 2.0, 2.0, 2.0], float, ENOUGH + 2)
