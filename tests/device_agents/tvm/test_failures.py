"""Whatever a kernel does, each cell has its line, the others are measured, and nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwaware.compiler.tvm_agent import write_bare_tvm_agent
from tests.device_agents.building import parse_lines
from tests.device_agents.test_interruption import children, wait_until_gone
from tests.device_agents.tvm.agents import QUICK, environment, handmade_agent, run_agent
from tests.device_agents.tvm.tools import Tools


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return handmade_agent(tmp_path_factory.mktemp("handmade"))


def only(folder: Path, *names: str) -> tuple[str, str]:
    """The option that measures these cells alone."""
    ids = folder / "ids"
    ids.write_text("\n".join(names))
    return "--only-from", str(ids)


def reason(agent: Path, folder: Path, name: str, *more: str) -> str:
    """Why a cell failed; a sound one is measured beside it."""
    answer = run_agent(agent, "bench", *QUICK, *only(folder, name, "scale"), *more)
    assert answer.status == 0, answer.stderr
    lines = {line["id"]: line for line in answer.lines if line["type"] == "cell"}
    assert answer.one("done") == {"type": "done", "cells": 2}
    assert lines["scale"]["status"] == "ok"
    assert lines[name]["status"] == "failed"
    return str(lines[name]["reason"])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("raise", 'kernel error: ValueError: shape[1] "mismatch" \\ café'),
        ("segfault", "signal SIGSEGV (segmentation fault)"),
        ("leave", "exit 3"),
        ("huge", "out of memory"),
        ("absent", "the library has no kernel absent"),
    ],
)
def test_a_failing_cell_says_why(agent: Path, tmp_path: Path, name: str, told: str) -> None:
    assert reason(agent, tmp_path, name) == told


def test_a_hanging_cell_is_ended(agent: Path, tmp_path: Path) -> None:
    assert reason(agent, tmp_path, "forever", "--timeout-ms", "2000") == "timed out after 2000 ms"


def test_what_a_kernel_prints_is_no_line(agent: Path, tmp_path: Path) -> None:
    answer = run_agent(agent, "bench", *QUICK, *only(tmp_path, "chatty"))
    assert (answer.status, [line["type"] for line in answer.lines]) == (0, ["cell", "done"])


def test_an_unknown_cell_is_refused(agent: Path, tmp_path: Path) -> None:
    answer = run_agent(agent, "bench", *only(tmp_path, "scale", "nothing"))
    assert answer.status == 1
    assert "names the cell 'nothing'" in answer.one("error")["reason"]


def test_a_failing_op_is_named(agent: Path) -> None:
    answer = run_agent(agent, "run", *QUICK)
    assert answer.status == 1
    assert answer.lines == [
        {"type": "error", "reason": "kernel error in op 1 'head': ValueError: shape[1] \"mismatch\" \\ café"}
    ]


def test_more_threads_than_cpus_are_refused(agent: Path) -> None:
    answer = run_agent(agent, "bench", "--threads", str(min(64, len(os.sched_getaffinity(0)) + 1)))
    assert answer.status == 1
    assert "threads asked" in answer.one("error")["reason"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_agent_undoes_everything(agent: Path, tmp_path: Path, number: signal.Signals) -> None:
    tools = Tools(tmp_path / "tools")
    tools.add_clocks()
    command = [str(agent), "bench", *QUICK, *only(tmp_path, "forever"), "--lock-frequency"]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # of a job in the background it is ignored
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment({"PATH": tools.path}))
    finally:
        signal.signal(signal.SIGINT, before)
    deadline = time.monotonic() + 30
    while tools.clocks != "fixed" or len(children(process.pid)) < 2:
        assert time.monotonic() < deadline, "the clocks were never fixed, or nothing measures"
        time.sleep(0.01)
    offspring = children(process.pid)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=20)
    assert process.returncode == -number
    assert parse_lines(stdout) == []
    for child in offspring:
        wait_until_gone(child)
    assert tools.clocks == "as before"


def test_a_reader_that_goes_away_ends_it(agent: Path, tmp_path: Path) -> None:
    command = [str(agent), "bench", *QUICK, *only(tmp_path, "scale", "chatty")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(timeout=60) == 1


def test_a_bare_agent_tells_what_the_board_is(tmp_path: Path) -> None:
    agent = write_bare_tvm_agent(tmp_path / "agent")
    info = run_agent(agent, "info").one("info")
    assert (info["protocol"], info["executable"]) == (1, sys.executable)
    assert (info["gpu"] is None) == (info["gpu_reason"] is not None)
    answer = run_agent(agent, "cells")
    assert (answer.status, answer.one("error")["reason"]) == (1, "this agent carries no tables.json")


def test_what_to_install_is_said(agent: Path, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')  # without any installed package
    python.chmod(0o755)
    more = {"HWAWARE_PYTHON": str(python)}
    answer = run_agent(agent, "bench", *QUICK, more=more)
    assert answer.status == 1
    assert "has no tvm_ffi" in answer.one("error")["reason"]
    assert "pip install apache-tvm" in answer.one("error")["reason"]
    assert run_agent(agent, "cells", more=more).status == 0


def test_wrong_usage_goes_to_stderr(agent: Path) -> None:
    answer = run_agent(agent, "bench", "--nonsense")
    assert (answer.status, answer.lines) == (2, [])
    assert "--nonsense" in answer.stderr
