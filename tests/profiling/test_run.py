"""What a protocol asks of the agent, and what a report tells of the device's state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.compiler.artifact import build_artifact
from hwaware.devices.device import Device
from hwaware.profiling.run import SHIPPED_COUNT, SHIPPED_MS, RunResult, protocol_arguments, run_artifact
from hwaware.profiling.target import target_of
from hwaware.reports.measure import conditions, warnings
from tests.profiling.nets import tiny


@pytest.mark.parametrize(
    ("protocol", "asked", "given"),
    [
        ("pinned", (None, None), (["--lock-frequency"], 1000, 100)),
        ("pinned", (10, 1), (["--lock-frequency"], 10, 1)),
        ("as-shipped", (None, None), (["--no-pin", "--thin"], 60_000, 1024)),
        ("as-shipped", (10, 1), (["--no-pin", "--thin"], 60_000, 1024)),
        ("as-shipped", (90_000, 5000), (["--no-pin", "--thin"], 90_000, 5000)),
    ],
)
def test_protocols(protocol: str, asked: tuple[int | None, int | None], given: tuple[list[str], int, int]) -> None:
    assert protocol_arguments(protocol, *asked) == given
    assert (SHIPPED_MS, SHIPPED_COUNT) == (60_000, 1_024)


@pytest.fixture
def result(local: Device, tmp_path: Path) -> RunResult:
    module, inputs = tiny()
    artifact = build_artifact(module, inputs, target_of(local), tmp_path / "tiny", name="tiny")
    return run_artifact(artifact, local, min_time_ms=5, min_count=5)


def test_conditions_are_what_the_agent_said(result: RunResult) -> None:
    told = conditions(result)
    json.dumps(told)
    assert told["frequency_locked"] is result.around.lock.locked
    assert told["frequency_locked"] or told["lock_reason"]
    assert (told["pinned"], told["stride"]) == (True, 1)
    assert told["sentinel_before_ns"] > 0
    assert told["emulated"] is False
    assert {"khz_before", "khz_min", "khz_after", "milli_c_before", "throttle", "load1", "kernel"} <= told.keys()


def test_a_throttled_run_is_warned_of(result: RunResult) -> None:
    hot = replace(result, around=replace(result.around, throttle="under_voltage"))
    assert any("under voltage" in warning for warning in warnings(hot))
    assert not any("under voltage" in warning for warning in warnings(result))
