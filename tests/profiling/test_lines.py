"""The agent's lines: each is checked before it becomes a row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hwaware.compiler.choice import Choice, Variant
from hwaware.errors import AgentError
from hwaware.profiling.lines import BenchLines
from hwaware.profiling.surroundings import FrequencyLock
from tests.costs.tables import conv, pool

CONV, POOL = (Variant(work, Choice.of(work.kind)) for work in (conv(4, 8), pool(8)))
GOOD: dict[str, Any] = {
    "type": "cell",
    "id": CONV.id,
    "status": "ok",
    "threads": 1,
    "cpus": [0],
    "cold_ns": 9000,
    "inner": 1,
    "converged": True,
    "involuntary_switches": 0,
    "samples_ns": [1000.0, 1001.5, 999.0, 1000.0, 1002.0],
    "weight_bytes": 1184,
    "arg_bytes": 4000,
    "workspace_bytes": 0,
    "peak_rss_delta_bytes": None,
    "sentinel_before_ns": 98000,
    "sentinel_after_ns": 98000,
    "meeting_before_ns": None,
    "meeting_after_ns": None,
    "calm": None,
    "frequency_locked": True,
    "locked_khz": 1800000,
    "lock_reason": None,
    "khz_before": 1800000,
    "khz_min": 1790000,
    "khz_after": 1800000,
    "governor": "performance",
    "milli_c_before": None,
    "milli_c_after": 51000,
    "throttle": None,
    "load1": 0.25,
}


@pytest.fixture
def lines() -> BenchLines:
    return BenchLines({one.id: one for one in (CONV, POOL)}, 1, "board")


def test_a_good_line_is_a_row(lines: BenchLines) -> None:
    reading = lines.read(json.dumps(GOOD))
    assert reading is not None
    row = reading.row
    assert (row.kind, row.coordinates, row.status, row.n, row.p50_ns) == ("conv2d", (4, 8), "ok", 5, 1000.0)
    assert row.samples_ns == (1000.0, 1001.5, 999.0, 1000.0, 1002.0)
    assert (row.weight_bytes, row.milli_c_after, row.peak_rss_delta_bytes) == (1184, 51000, None)
    assert (reading.id, lines.measured) == (CONV.id, {CONV.id})
    assert reading.around is not None
    assert reading.around.lock == FrequencyLock(True, 1800000, None)
    assert (reading.around.sentinels_ns, reading.around.khz_min) == ((98000.0, 98000.0), 1790000)
    assert not lines.finished
    assert lines.read('{"type":"done","cells":1}') is None
    assert lines.finished


def test_it_may_freeze(lines: BenchLines) -> None:
    reading = lines.read(json.dumps(GOOD | {"milli_c_before": -12000, "milli_c_after": -11000}))
    assert reading is not None
    assert (reading.row.milli_c_before, reading.row.milli_c_after) == (-12000, -11000)


def test_a_failed_cell_is_a_row_with_its_reason(lines: BenchLines) -> None:
    failed = {"type": "cell", "id": POOL.id, "status": "failed", "reason": "signal SIGILL\x1b[2J\n(illegal)"}
    reading = lines.read(json.dumps(failed))
    assert reading is not None
    row = reading.row
    assert (row.status, reading.around) == ("failed", None)
    assert row.reason == "signal SIGILL [2J (illegal)"
    assert not row.usable


@pytest.mark.parametrize(
    ("said", "kept"), [(None, ""), ("none", ""), ("throttled", "throttled"), ("hot_trip+not_cooled",) * 2]
)
def test_throttle_flags_stand_in_the_row(lines: BenchLines, said: str | None, kept: str) -> None:
    reading = lines.read(json.dumps(GOOD | {"throttle": said}))
    assert reading is not None
    assert reading.row.throttle == kept


def test_times_of_zero_are_no_measurement(lines: BenchLines) -> None:
    reading = lines.read(json.dumps(GOOD | {"samples_ns": [0.0, 0.0]}))
    assert reading is not None
    assert (reading.row.status, reading.around) == ("failed", None)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Killed",
        "[]",
        '{"type": 3}',
        '{"type":"error","reason":"3 threads, but 2 cpus"}',
        "{" * 100_000,
        json.dumps(GOOD | {"id": "conv2d|unheard of"}),
        json.dumps(GOOD | {"threads": 2}),
        json.dumps(GOOD | {"samples_ns": [1.0, "2"]}),
        json.dumps(GOOD | {"samples_ns": [1.0, -2]}),
        json.dumps(GOOD | {"samples_ns": None}),
        json.dumps(GOOD).replace("1001.5", "NaN"),
        json.dumps(GOOD | {"inner": 0}),
        json.dumps(GOOD | {"throttle": "Throttled; rm"}),
        json.dumps(GOOD | {"throttle": ["throttled"]}),
        json.dumps(GOOD | {"frequency_locked": 1}),
        json.dumps(GOOD | {"sentinel_after_ns": 0}),
        json.dumps(GOOD | {"meeting_after_ns": -1}),
        json.dumps(GOOD | {"cold_ns": 1e300}),
        json.dumps({key: value for key, value in GOOD.items() if key != "load1"}),
    ],
)
def test_everything_else_is_refused(lines: BenchLines, line: str) -> None:
    with pytest.raises(AgentError) as caught:
        lines.read(line)
    assert "board" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not lines.measured


def test_a_cell_comes_once(lines: BenchLines) -> None:
    lines.read(json.dumps(GOOD))
    with pytest.raises(AgentError, match="nobody asked for"):
        lines.read(json.dumps(GOOD))
