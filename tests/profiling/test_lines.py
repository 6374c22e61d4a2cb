"""The agent's lines: each is checked before it becomes a row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hwaware.compiler.choice import Choice, Variant
from hwaware.errors import AgentError
from hwaware.profiling.lines import BenchLines
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
    "khz_before": 1800000,
    "khz_after": 1800000,
    "milli_c_before": None,
    "milli_c_after": 51000,
    "load1": 0.25,
}


@pytest.fixture
def lines() -> BenchLines:
    return BenchLines({one.id: one for one in (CONV, POOL)}, 1, "board")


def test_a_good_line_is_a_row(lines: BenchLines) -> None:
    row = lines.read(json.dumps(GOOD))
    assert row is not None
    assert (row.kind, row.coordinates, row.status, row.n, row.p50_ns) == ("conv2d", (4, 8), "ok", 5, 1000.0)
    assert row.samples_ns == (1000.0, 1001.5, 999.0, 1000.0, 1002.0)
    assert (row.weight_bytes, row.milli_c_after, row.peak_rss_delta_bytes) == (1184, 51000, None)
    assert lines.measured == {CONV.id}
    assert not lines.finished
    assert lines.read('{"type":"done","cells":1}') is None
    assert lines.finished


def test_a_failed_cell_is_a_row_with_its_reason(lines: BenchLines) -> None:
    failed = {"type": "cell", "id": POOL.id, "status": "failed", "reason": "signal SIGILL\x1b[2J\n(illegal)"}
    row = lines.read(json.dumps(failed))
    assert row is not None
    assert row.status == "failed"
    assert row.reason == "signal SIGILL [2J (illegal)"
    assert not row.usable


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"samples_ns": [1000.0, 2000.0] * 10}, "spread by"),
        ({"involuntary_switches": 50}, "lost the processor 50 times in 5 samples"),
        ({"khz_after": 900000}, "frequency went from 1800000 to 900000 kHz"),
    ],
)
def test_bad_conditions_make_a_cell_unstable(lines: BenchLines, change: dict[str, Any], said: str) -> None:
    row = lines.read(json.dumps(GOOD | change))
    assert row is not None
    assert row.status == "unstable"
    assert said in row.reason
    assert row.usable


def test_the_clocks_resolution_is_no_instability(lines: BenchLines) -> None:
    row = lines.read(json.dumps(GOOD | {"samples_ns": [20.0, 40.0, 30.0, 20.0, 50.0, 40.0]}))
    assert row is not None
    assert row.status == "ok"


def test_times_of_zero_are_no_measurement(lines: BenchLines) -> None:
    row = lines.read(json.dumps(GOOD | {"samples_ns": [0.0, 0.0]}))
    assert row is not None
    assert row.status == "failed"


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
