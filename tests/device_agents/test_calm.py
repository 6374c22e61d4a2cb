"""Samples that were not taken in calm moments: taken again, but not for ever."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from device_agents import NATIVE
from tests.device_agents.building import SANITIZED, SOURCES, WARNINGS, run_agent
from tests.device_agents.sysfs import FakeSys
from tests.device_agents.test_conditions import cell
from tests.requirements import need

SAMPLED = [NATIVE / name for name in ("sampling.c", "calm.c", "text.c")]
LEAST = 20
FOR_EVER = "60000"


def built(folder: Path, source: str, parts: Sequence[Path]) -> Path:
    executable = folder / "program"
    command = [need("cc", package="gcc"), "-std=gnu11", *WARNINGS, *SANITIZED, "-I", str(NATIVE)]
    command += ["-o", str(executable), str(SOURCES / source), *map(str, parts), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return executable


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("calm"), "calm.c", SAMPLED)


def sampled(machine: Path, patience_ms: str, looks: str) -> dict[str, Any]:
    done = subprocess.run([machine, patience_ms, looks], capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["kept"] >= LEAST
    return found


def test_on_a_calm_machine_nothing_is_taken_twice(machine: Path) -> None:
    found = sampled(machine, FOR_EVER, "c")
    assert (found["calm"], found["spoilt_blocks"], found["calls"]) == (True, 0, found["kept"])


@pytest.mark.parametrize("looks", ["wwmwc", "mmmc"])
def test_sampling_waits_until_the_machine_is_calm(machine: Path, looks: str) -> None:
    found = sampled(machine, FOR_EVER, looks)
    assert (found["calm"], found["spoilt_blocks"], found["calls"]) == (True, 0, found["kept"])


def test_a_block_that_somebody_came_into_is_taken_again(machine: Path) -> None:
    """The first block ends with the threads far apart, the third with a slow sentinel, after a wait in both cases."""
    found = sampled(machine, FOR_EVER, "cmmcccwc")
    assert (found["calm"], found["spoilt_blocks"]) == (True, 2)
    assert found["calls"] == found["kept"] + 2


@pytest.mark.parametrize("looks", ["w", "cw", "cmcwm"])
def test_patience_ends(machine: Path, looks: str) -> None:
    found = sampled(machine, "20", looks)
    assert (found["calm"], found["kept"]) == (False, LEAST)


def test_once_patience_is_over_the_least_samples_are_enough(machine: Path) -> None:
    found = sampled(machine, "20", "c" * (LEAST + 1) + "w")
    assert (found["calm"], found["kept"]) == (True, LEAST)


def test_waking_a_worker_is_none_of_the_sentinels_work(tmp_path: Path) -> None:
    """Or no block of a kernel that runs on one thread would be called calm."""
    program = built(tmp_path, "sentinel.c", [NATIVE / "sentinel.c", NATIVE / "text.c"])
    least_ns, wake_ns = map(int, subprocess.check_output([program], text=True, timeout=60).split())
    assert least_ns < wake_ns


def test_the_agent_says_whether_it_was_calm(agent: Path, tmp_path: Path) -> None:
    fake = FakeSys(tmp_path / "fake")
    found = cell(agent, fake)
    assert (found["calm"], found["spoilt_blocks"]) == (None, 0)
    assert cell(agent, fake, "--calm-work-ns", str(10**12))["calm"] is True
    assert cell(agent, fake, "--calm-work-ns", "1", "--patience-ms", "5")["calm"] is False


def test_operations_wait_as_well_and_have_as_many_samples_each(agent: Path) -> None:
    for words in (("1", "--patience-ms", "5"), (str(10**12),)):
        answer = run_agent(agent, "run", "--min-time-ms", "2", "--min-count", "5", "--per-op", "--calm-work-ns", *words)
        assert answer.status == 0
        counts = {len(line["samples_ns"]) for line in answer.lines if line["type"] == "op"}
        assert len(counts) == 1
        assert counts.pop() >= 5


def test_thinned_samples_cannot_be_taken_again(agent: Path) -> None:
    answer = run_agent(agent, "run", "--thin", "--calm-work-ns", "100")
    assert (answer.status, answer.lines) == (2, [])
    assert "exclude each other" in answer.stderr
