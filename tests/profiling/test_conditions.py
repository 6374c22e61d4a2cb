"""Which measurements are trusted."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hwaware.costs.row import CellRow
from hwaware.devices.facts import DeviceFacts
from hwaware.profiling.calm import Witness
from hwaware.profiling.conditions import device_conditions, judged
from hwaware.profiling.lines import BenchLines
from hwaware.profiling.surroundings import FrequencyLock, Surroundings
from tests.devices.test_facts import PI
from tests.profiling.test_lines import CONV, GOOD

QUIET = Surroundings(
    lock=FrequencyLock(False),
    sentinels_ns=(100.0, 100.0),
    meetings_ns=None,
    calm=None,
    khz_before=None,
    khz_min=None,
    khz_after=None,
    milli_c_before=None,
    milli_c_after=None,
    governor=None,
    throttle="",
    involuntary_switches=0,
    load1=0.1,
)


def heard(*moments: tuple[float, float | None]) -> Witness:
    """A witness of sentinels and meetings."""
    witness = Witness()
    for work, meeting in moments:
        witness.hear(
            replace(QUIET, sentinels_ns=(work, work), meetings_ns=None if meeting is None else (meeting, meeting))
        )
    return witness


def judge(change: dict[str, Any], usual: float = 98000.0) -> CellRow:
    """The row of a line of the agent, on a device whose sentinel usually takes `usual` nanoseconds."""
    reading = BenchLines({CONV.id: CONV}, 1, "board").read(json.dumps(GOOD | change))
    assert reading is not None
    assert reading.around is not None
    witness = Witness()
    for _ in range(10):
        witness.hear(replace(QUIET, sentinels_ns=(usual, usual)))
    witness.hear(reading.around)
    return judged(reading.row, reading.around, witness)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples_ns": [1000.0, 2000.0] * 10}, "spread by"),
        ({"involuntary_switches": 50}, "lost the processor 50 times in 5 samples"),
        ({"khz_before": 1500000, "locked_khz": None}, "frequency rose from 1500000 to 1800000 kHz"),
        ({"sentinel_before_ns": 110000, "sentinel_after_ns": 120000}, "12% slower than usual (sentinel)"),
        ({"sentinel_before_ns": 80000, "sentinel_after_ns": 80000}, "18% faster than usual (sentinel)"),
    ],
)
def test_what_wavers_is_unstable(change: dict[str, Any], said: str) -> None:
    row = judge(change)
    assert row.status == "unstable"
    assert said in row.reason
    assert row.usable


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"throttle": "under_voltage+soft_temperature_limit"}, "reports under voltage, soft temperature limit"),
        ({"throttle": "passive_trip+not_cooled"}, "reports passive trip"),
        ({"khz_after": 900000}, "frequency fell from 1800000 to 900000 kHz"),
        ({"khz_min": 1200000}, "frequency fell from 1800000 to 1200000 kHz"),
        ({"khz_before": 1200000, "khz_min": 1200000, "khz_after": 1200000}, "fell from 1800000 to 1200000"),
        ({"throttle": "throttled", "samples_ns": [1000.0, 2000.0] * 10}, "reports throttled"),
    ],
)
def test_what_was_slowed_down_is_throttled(change: dict[str, Any], said: str) -> None:
    row = judge(change)
    assert row.status == "throttled"
    assert said in row.reason
    assert row.usable


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"throttle": "none"},
        {"throttle": "not_cooled"},
        {"khz_before": None, "khz_min": None, "khz_after": None, "locked_khz": None},
        {"khz_min": 1790000},
        {"samples_ns": [20.0, 40.0, 30.0, 20.0, 50.0, 40.0]},  # the clock's resolution
        {"sentinel_before_ns": 150000},  # somebody who left before the cell was over
        {"sentinel_after_ns": 150000},
        {"sentinel_before_ns": 100000, "sentinel_after_ns": 102000},
    ],
)
def test_what_is_sound_is_ok(change: dict[str, Any]) -> None:
    row = judge(change)
    assert (row.status, row.reason) == ("ok", "")


def test_cells_that_found_no_calm_moment_are_marked() -> None:
    reading = BenchLines({CONV.id: CONV}, 1, "board").read(json.dumps(GOOD))
    assert reading is not None
    witness = heard(*[(100, None)] * 10)
    # What it lost of the processor it lost while it waited for calm moments.
    waited = replace(reading.row, involuntary_switches=50)
    assert judged(waited, replace(QUIET, calm=True), witness).status == "ok"
    assert judged(waited, QUIET, witness).status == "unstable"
    row = judged(reading.row, replace(QUIET, calm=False), witness)
    assert row.status == "unstable"
    assert "something else had the processor" in row.reason


def test_conditions_tell_what_the_agent_said() -> None:
    facts = DeviceFacts.from_dict(PI, "pi4")
    assert device_conditions(facts)["frequency_locked"] is None
    found = device_conditions(facts, FrequencyLock(False, None, "scaling_governor of cpu 0 Permission denied"))
    assert (found["governor"], found["frequency_locked"]) == ("ondemand", False)
    assert found["lock_reason"] == "scaling_governor of cpu 0 Permission denied"
    assert device_conditions(facts, FrequencyLock(True, 1500000))["locked_khz"] == 1500000
