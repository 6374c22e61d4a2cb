"""What the sentinels tell of a machine: its usual speed, and which moments are calm."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.devices.facts import DeviceFacts
from hwaware.profiling.calm import Calm, Witness
from hwaware.profiling.conditions import device_conditions
from tests.devices.test_facts import PI
from tests.profiling.test_conditions import QUIET, heard


def test_a_governor_that_idles_before_each_cell_is_no_drift() -> None:
    witness = Witness()
    idle = replace(QUIET, sentinels_ns=(300.0, 100.0))
    for _ in range(9):
        witness.hear(idle)
    assert (witness.sentinel_ns, witness.drift(idle)) == (100.0, 0.0)


sentinels = st.tuples(*[st.floats(1, 1e9)] * 2)


@given(st.lists(sentinels, min_size=1, max_size=30), st.floats(0.01, 100))
def test_drift_does_not_depend_on_how_fast_the_device_is(pairs: list[tuple[float, float]], factor: float) -> None:
    plain, scaled = Witness(), Witness()
    for before, after in pairs:
        plain.hear(replace(QUIET, sentinels_ns=(before, after)))
        scaled.hear(replace(QUIET, sentinels_ns=(before * factor, after * factor)))
    for before, after in pairs:
        drift = plain.drift(replace(QUIET, sentinels_ns=(before, after)))
        other = scaled.drift(replace(QUIET, sentinels_ns=(before * factor, after * factor)))
        assert drift is not None
        assert other is not None
        # Two sentinels may be equally far from the median, one on either side.
        assert abs(other) == pytest.approx(abs(drift), rel=1e-6, abs=1e-9)


def test_a_witness_who_heard_nothing() -> None:
    witness = Witness()
    assert (witness.sentinel_ns, witness.drift(QUIET), witness.lock) == (None, None, None)
    assert witness.calm is None


def test_a_calm_moment_is_as_good_as_the_best_nearly() -> None:
    """Neighbours most of the time; both threads on one core, and far apart, some of it."""
    calm = heard(*[(100, 95)] * 10, *[(112, 104)] * 60, *[(197, 39)] * 20, *[(101, 410)] * 15).calm
    assert calm is not None
    assert 100 <= calm.work_ns < 112
    assert calm.meeting_ns == 2 * 95
    assert calm.arguments() == ["--calm-work-ns", "103", "--calm-meeting-ns", "190"]


def test_one_thread_meets_nobody() -> None:
    calm = heard(*[(100, None)] * 30).calm
    assert calm is not None
    assert calm.meeting_ns is None
    assert calm.arguments() == ["--calm-work-ns", "103"]


def test_what_is_calm_takes_some_experience() -> None:
    assert heard(*[(100, 95)] * 5).calm is None


def test_calm_is_known_again_from_a_table() -> None:
    calm = Calm(101.5, 190.0)
    facts = DeviceFacts.from_dict(PI, "pi4")
    assert Calm.of(device_conditions(facts, calm=calm)) == calm
    assert Calm.of(device_conditions(facts, calm=Calm(101.5, None))) == Calm(101.5, None)
    assert Calm.of(device_conditions(facts)) is None
    assert Calm.of({"calm_work_ns": "1; rm", "calm_meeting_ns": 3}) is None
    assert Calm.of({"calm_work_ns": 3.0, "calm_meeting_ns": float("nan")}) == Calm(3.0, None)
