"""Processes that work for another one: their answers, and that none stays behind."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwaware.compiler.workers import VARIABLE, in_processes, processes
from hwaware.errors import BuildError

PROGRAM = """
import os, time
from hwaware.compiler.workers import in_processes
def pid(number):
    time.sleep(0.2)
    return os.getpid()
print(*set(in_processes(2, pid, ((number,) for number in range(8)))), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_answers_come_in_the_order_of_the_questions(jobs: int) -> None:
    assert in_processes(jobs, math.pow, ((number, 2) for number in range(5))) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("jobs", [1, 2])
def test_errors_come_through(jobs: int) -> None:
    with pytest.raises(ValueError, match=r"math domain error|nonnegative"):
        in_processes(jobs, math.sqrt, [(4,), (-4,)])


@pytest.mark.parametrize(("chosen", "count"), [("", len(os.sched_getaffinity(0))), ("3", 3)])
def test_their_number(chosen: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    assert processes() == count


@pytest.mark.parametrize("chosen", ["0", "-2", "two", "1.5", "4\n", "9" * 9])
def test_a_number_that_is_none(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    with pytest.raises(BuildError, match="is no number of processes; write for example HWAWARE_JOBS=2"):
        processes()


def test_workers_end_with_a_process_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        workers = [Path("/proc") / word for word in process.stdout.readline().split()]
        assert workers
        assert process.poll() is None
        process.kill()
    end = time.monotonic() + 30
    while any(worker.exists() for worker in workers):
        assert time.monotonic() < end, "a worker lives on"
        time.sleep(0.1)


def test_workers_end_whose_first_job_did_not_arrive_whole() -> None:
    program = "from hwaware.compiler.workers import in_processes; in_processes(2, len, [(bytes(1 << 26),)] * 4)"
    with subprocess.Popen([sys.executable, "-c", program], start_new_session=True) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        end = time.monotonic() + 30
        while not any(b"popen_loky" in _command(word) for word in children.read_text().split()):
            assert time.monotonic() < end, "no worker was started"
            time.sleep(0.005)
        process.kill()
    try:
        while _lives(process.pid):
            assert time.monotonic() < end, "a worker lives on"
            time.sleep(0.1)
    finally:
        if _lives(process.pid):
            os.killpg(process.pid, signal.SIGKILL)


def _command(pid: str) -> bytes:
    try:
        return (Path("/proc") / pid / "cmdline").read_bytes()
    except OSError:
        return b""  # it has ended


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
