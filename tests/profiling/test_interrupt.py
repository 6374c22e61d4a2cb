"""Killed anywhere and resumed: what was measured stays, and nothing of the killed is left.

`python -m benchmarks.interrupt` kills more often.
"""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from benchmarks.interrupt import AGENT, HOST, Scene, Trial
from hwaware.costs.table import CELLS, MANIFEST, CostTable
from hwaware.costs.validation import VALIDATION
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from tests.profiling.nets import tiny

KILLS = 2
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class Usual:
    """A user of their own; what a profile without interruptions takes, and leaves in the device's cache."""

    scene: Scene
    seconds: float
    files: frozenset[str]


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Usual:
    """Profiled twice: the first time compiles the agent."""
    home = tmp_path_factory.mktemp("interrupted")
    scene = Scene(home, "tests/profiling/nets.py:tiny", rounds=0)
    scene.finish()
    scene.out = home / "second"
    _, seconds = scene.finish()
    return Usual(scene, seconds, frozenset(scene.files()))


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


@pytest.mark.timeout(600)
@pytest.mark.parametrize("victim", [HOST, AGENT])
def test_killed_at_random_moments(victim: str, usual: Usual, tmp_path: Path) -> None:
    usual.scene.out = tmp_path / "table"
    trial = Trial(usual.scene)
    moments = np.random.default_rng()
    for number in range(KILLS):
        # Spread over the whole of it; what comes too late for a profile that had less left kills the next one.
        trial.kill(victim, usual.seconds * (number + moments.random()) / KILLS)
    table, _ = usual.scene.finish()
    assert trial.kills[victim] >= 1
    assert trial.stops == [], "an agent that is killed is started again"
    assert trial.lost() == []
    check_whole(table, usual, tmp_path / "table")


@pytest.mark.timeout(300)
def test_ctrl_c_at_a_terminal(usual: Usual, tmp_path: Path) -> None:
    """The whole process group gets the signal, the processes that compile included."""
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
    assert f"--out {out} --resume" in said
    assert "Traceback" not in said
    assert usual.scene.strays() == []
    table, _ = usual.scene.finish()
    rows = usual.scene.rows()
    assert {place: rows[place] for place in kept} == kept
    check_whole(table, usual, out)
