"""A Jetson's clocks are fixed while something is measured, and as they were before however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import device_agents
from device_agents.tvm.lock import Lock
from tests.device_agents.tvm.tools import Tools

HOLDER = """
import time
from device_agents.tvm.lock import Lock
print(Lock.take(lambda: None, asked=True).locked, flush=True)
time.sleep(60)
"""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """A board without the tool, so far."""
    made = Tools(tmp_path / "tools")
    monkeypatch.setenv("PATH", made.path)
    monkeypatch.setattr("device_agents.tvm.lock.PLACES", str(made.folder))
    return made


@pytest.mark.parametrize("user", [0, 1000])
def test_clocks_are_fixed_and_restored(tools: Tools, user: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    tools.add_clocks()
    lock = Lock.take(lambda: 1_300_500, asked=True)
    assert lock.members() == {"frequency_locked": True, "locked_khz": 1_300_500, "lock_reason": None}
    assert tools.clocks == "fixed"
    lock.release()
    assert tools.clocks == "as before"
    assert tools.calls == ["--store", "fix", "--restore"]
    lock.release()  # once is enough
    assert len(tools.calls) == 3


def test_nothing_is_touched_unless_asked_for(tools: Tools) -> None:
    tools.add_clocks()
    lock = Lock.take(lambda: 1, asked=False)
    lock.release()
    assert lock.members() == {"frequency_locked": False, "locked_khz": None, "lock_reason": None}
    assert tools.calls == []


def reason(*, user: int, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Why the clocks could not be fixed."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    lock = Lock.take(lambda: 1, asked=True)
    lock.release()
    assert not lock.locked
    return lock.reason


def test_a_board_without_the_tool_says_so(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tools.folder))
    assert reason(user=0, monkeypatch=monkeypatch) == "this board has no jetson_clocks"


def test_a_password_is_not_asked_for(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add_clocks()
    tools.add("sudo", "exit 1\n")
    assert reason(user=1000, monkeypatch=monkeypatch) == "jetson_clocks needs root, and sudo asks for a password"
    assert tools.calls == []


def test_clocks_that_cannot_be_stored_are_left_alone(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add_clocks()
    (tools.folder / "fail--store").touch()
    assert reason(user=0, monkeypatch=monkeypatch) == "jetson_clocks --store failed"
    assert (tools.calls, tools.clocks) == (["--store"], "as before")


def test_clocks_that_were_fixed_in_part_are_restored(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    tools.add_clocks()
    (tools.folder / "fail").touch()
    assert reason(user=0, monkeypatch=monkeypatch) == "jetson_clocks failed"
    assert (tools.calls, tools.clocks) == (["--store", "fix", "--restore"], "as before")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_clocks_are_restored_when_their_holder_is_killed(tools: Tools, number: signal.Signals) -> None:
    tools.add_clocks()
    root = Path(device_agents.__file__).parents[1]
    command = [sys.executable, "-c", HOLDER]
    holder = subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "True\n"
    assert tools.clocks == "fixed"
    os.killpg(holder.pid, number)
    holder.communicate(timeout=10)  # whoever keeps the clocks does not hold the output open
    deadline = time.monotonic() + 20
    while tools.clocks != "as before":
        assert time.monotonic() < deadline, "the clocks stay fixed"
        time.sleep(0.01)
