"""An agent that is stopped, or whose reader goes away, leaves whole lines and no child."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.device_agents.building import agent_environment, parse_lines


def start(agent: Path, ids: Path, *names: str) -> subprocess.Popen[bytes]:
    ids.write_text("\n".join(names))
    command = [str(agent), "bench", "--only-from", str(ids), "--min-time-ms", "1", "--timeout-ms", "60000"]
    # Under nohup these tests would inherit an ignored SIGHUP, and the agent rightly keeps ignoring it.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, env=agent_environment())
    finally:
        signal.signal(signal.SIGHUP, before)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for_child(process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        found = children(process.pid)
        if found:
            return found[0]
        time.sleep(0.01)
    raise AssertionError("the agent started no child")


def is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rsplit(")", 1)[1].split()[0] not in "ZX"


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_a_stopped_agent_takes_its_child_along(agent: Path, tmp_path: Path, number: signal.Signals) -> None:
    process = start(agent, tmp_path / "ids", "forever")
    child = wait_for_child(process)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=10)
    assert process.returncode == -number
    assert stdout == b""
    wait_until_gone(child)


@pytest.mark.parametrize("delay_ms", [20, 50, 90, 140, 200])
def test_what_was_written_before_the_stop_is_whole_lines(agent: Path, tmp_path: Path, delay_ms: int) -> None:
    process = start(agent, tmp_path / "ids", "scale", "raise", "nested", "parallel", "workspace", "exit", "forever")
    wait_for_child(process)
    time.sleep(delay_ms / 1000)
    process.terminate()
    stdout, _ = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGTERM
    assert all(line["type"] == "cell" for line in parse_lines(stdout))


def test_a_reader_that_goes_away_ends_the_bench(agent: Path, tmp_path: Path) -> None:
    process = start(agent, tmp_path / "ids", "scale", "raise", "nested")
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=20) == 1
