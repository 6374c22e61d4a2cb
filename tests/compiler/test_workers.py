"""Processes that work for another one: their answers, and that none stays behind."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwaware.compiler.workers import in_processes

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
