"""Killed anywhere and resumed: what was measured stays, and nothing of the killed is left.

`python -m benchmarks.interrupt` kills more often.
"""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.interrupt import AGENT, HOST, Scene, Trial
from hwaware.costs.table import CELLS, JOURNAL, MANIFEST, CostTable
from hwaware.costs.validation import VALIDATION
from hwaware.devices.device import Device, open_device
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.profiling.target import device_facts
from tests.profiling.nets import tiny

MODEL = "tests/profiling/nets.py:tiny"
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Usual:
    """A user of their own; what a profile without interruptions takes, and leaves in the device's cache."""

    scene: Scene
    seconds: float
    files: frozenset[str]


@contextmanager
def user_of(scene: Scene) -> Iterator[Device]:
    """This machine, with the caches of that user."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWAWARE_CACHE", str(scene.cache))
        with open_device("local") as device:
            yield device


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Usual]:
    """The first profile of this user, in several processes, the agent that tells facts compiled before."""
    home = tmp_path_factory.mktemp("interrupted")
    scene = Scene(home, MODEL, rounds=0)
    with user_of(scene) as device:
        device_facts(device)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWAWARE_JOBS", "2")
        _, seconds = scene.finish()
        yield Usual(scene, seconds, frozenset(scene.files()))


def own_operations() -> set[str]:
    """What a table of the tiny net has at least."""
    return {op.workload.key for op in lower(capture(*tiny())).ops}


def check_whole(table: CostTable, usual: Usual, out: Path) -> None:
    """The model is covered, no cell is there twice, nothing is left but the table."""
    places = [row.identity for row in table.rows]
    assert len(places) == len(set(places))
    assert own_operations() <= {row.key for row in table.rows}
    assert usual.scene.strays() == []
    assert usual.scene.files() == usual.files
    assert {path.name for path in out.iterdir()} <= {CELLS, MANIFEST, VALIDATION}


@pytest.mark.timeout(300)
def test_an_agent_that_is_killed_is_started_again(usual: Usual, tmp_path: Path) -> None:
    usual.scene.out = tmp_path / "table"
    trial = Trial(usual.scene)
    assert trial.kill(AGENT, usual.seconds * np.random.default_rng().random() / 2)
    assert trial.stops == []
    assert trial.lost() == []
    check_whole(CostTable.load(usual.scene.out), usual, usual.scene.out)


@pytest.mark.timeout(600)
def test_a_profile_that_is_killed_goes_on(usual: Usual, tmp_path: Path) -> None:
    """Killed in its second half: in the first it imports."""
    usual.scene.out = tmp_path / "table"
    trial = Trial(usual.scene)
    moments = np.random.default_rng()
    while not trial.kill(HOST, usual.seconds * moments.uniform(0.5, 1.0)):
        shutil.rmtree(usual.scene.out)  # it was through before: begin another
        trial.kept.clear()
    table, _ = usual.scene.finish()
    assert trial.lost() == []
    check_whole(table, usual, usual.scene.out)


@pytest.mark.timeout(300)
def test_ctrl_c_keeps_the_rows_frees_the_device_and_says_how_to_go_on(usual: Usual, tmp_path: Path) -> None:
    """At a terminal: the whole process group gets the signal, the processes that compile included."""
    out = usual.scene.out = tmp_path / "table"
    with usual.scene.start(group=True) as process:
        deadline = time.monotonic() + _PATIENCE_S
        while len(usual.scene.rows()) < 2 and process.poll() is None:
            assert time.monotonic() < deadline, "the profile does not get on"
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=_PATIENCE_S)
    kept = usual.scene.rows()
    assert process.returncode == 1
    assert said.splitlines()[-1] == "error: interrupted; nothing is left half-written"
    assert f"go on with: hwaware profile {MODEL} --device local --out {out} --resume" in said
    assert "Traceback" not in said
    assert usual.scene.strays() == []
    assert (out / JOURNAL).exists()
    with user_of(usual.scene) as device, device.transport.lease():
        pass  # else it would be said who has it
    table, _ = usual.scene.finish()
    rows = usual.scene.rows()
    assert {place: rows[place] for place in kept} == kept
    check_whole(table, usual, out)
