"""Which samples count: laws over random ones, a made-up machine with neighbours, and when there are enough."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hwaware.profiling.spells import ENOUGH, SLOW, agreeing, undisturbed, wanting

# Long enough that eight of them are a block.
MS = 1e6
RUN = st.lists(st.floats(0.1 * MS, 10 * MS), min_size=1, max_size=40)
RUNS = st.lists(RUN, min_size=1, max_size=6)


@given(RUNS)
def test_every_sample_is_judged_and_some_count(runs: list[list[float]]) -> None:
    masks = undisturbed(runs)
    assert [len(mask) for mask in masks] == [len(run) for run in runs]
    assert any(mask.any() for mask in masks)


@given(RUNS, st.floats(1.2, 5))
def test_a_slow_run_changes_nothing(runs: list[list[float]], factor: float) -> None:
    slowed = [factor * 10 * MS] * 9
    *masks, last = undisturbed([*runs, slowed])
    assert not last.any()
    for mask, alone in zip(masks, undisturbed(runs), strict=True):
        assert (mask == alone).all()


def test_a_spell_within_a_run_is_left_out() -> None:
    steady, slow = [1.0 * MS] * 16, [1.3 * MS] * 16
    (mask,) = undisturbed([[*steady, *slow, *steady]])
    assert mask.tolist() == [True] * 16 + [False] * 16 + [True] * 16


def test_single_slow_samples_are_part_of_the_model() -> None:
    """A timer's tick is no neighbour: what is rare belongs to the distribution."""
    run = [1.0 * MS] * 64
    run[5] = run[40] = 3.0 * MS
    assert undisturbed([run])[0].all()


def test_blocks_of_a_small_model_last_long_enough() -> None:
    """Eight calls of a microsecond are no time: their jitter would count as speed."""
    rng = np.random.default_rng(1)
    run = 1000 * (1 + 0.1 * rng.random(20_000))
    mask = undisturbed([run])[0]
    assert mask.mean() > 0.95


def test_neighbours_most_of_the_time_hardly_move_the_median() -> None:
    rng = np.random.default_rng(2)
    runs = []
    for _ in range(8):
        busy = np.repeat(rng.random(40) < 0.7, 10)  # spells of some milliseconds
        runs.append(MS * (1 + 0.003 * rng.standard_normal(400)) * np.where(busy, rng.uniform(1.05, 1.9), 1.0))
    kept = np.concatenate([run[mask] for run, mask in zip(runs, undisturbed(runs), strict=True)])
    assert abs(np.median(kept) / MS - 1) < 0.005
    assert np.median(np.concatenate(runs)) / MS > 1.05


def test_runs_are_wanting_until_enough_agree() -> None:
    steady, slow = [1.0 * MS] * 16, [1.0 * SLOW * 1.01 * MS] * 16
    assert wanting([], 1)
    assert not wanting([slow], 1)  # no more than was planned
    good = [steady] * ENOUGH
    assert wanting(good, ENOUGH + 2)
    assert not wanting([*good, slow, slow], ENOUGH + 2)
    assert wanting([*good[1:], slow, slow, slow], ENOUGH + 2)


def test_a_moment_at_full_speed_is_no_agreement() -> None:
    run = [1.0 * MS] * 8 + [1.5 * MS] * 92
    masks = undisturbed([run])
    assert masks[0].any()
    assert agreeing(masks) == 0
