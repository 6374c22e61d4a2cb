"""`bench`: a line a cell, whatever the cell does."""

from __future__ import annotations

import os
import statistics
import subprocess
from pathlib import Path

import pytest

from tests.device_agents.building import Answer, agent_environment, parse_lines, run_agent
from tests.requirements import need, need_cpus, need_path

QUICK = ("--min-time-ms", "2", "--max-count", "40", "--timeout-ms", "1500")
FAILURES = {
    "raise": 'kernel error: ValueError: shape[1] "mismatch" \\ \n\x01 café \ufffd',
    "raise_silently": "kernel error: it returned 7",
    "raise_late": "kernel error: RuntimeError: worn out",
    "raise_in_task": "kernel error: RuntimeError: in a task",
    "illegal": "signal SIGILL (illegal instruction)",
    "segfault": "signal SIGSEGV (segmentation fault)",
    "divide": "signal SIGFPE (arithmetic error)",
    "forever": "timed out after 1500 ms",
    "exit": "exit 3",
    "killed": "signal SIGKILL (killed from outside, most often because memory ran out)",
    "greedy": "out of memory",
    "huge": "out of memory",
}
SOUND = {"scale", "parallel", "nested", "workspace", "check_values", "check_indices", "check_rising", "awake", "chatty"}


@pytest.fixture(scope="module")
def answer(agent: Path) -> Answer:
    return run_agent(agent, "bench", *QUICK)


def test_failing_cells_give_their_reason_and_the_rest_go_on(answer: Answer) -> None:
    cells = {line["id"]: line for line in answer.lines[:-1]}
    assert answer.status == 0
    assert answer.lines[-1] == {"type": "done", "cells": len(FAILURES) + len(SOUND)}
    assert {name: cell["reason"] for name, cell in cells.items() if cell["status"] == "failed"} == FAILURES
    assert {name for name, cell in cells.items() if cell["status"] == "ok"} == SOUND


def test_no_sanitizer_reports(answer: Answer) -> None:
    assert "runtime error" not in answer.stderr
    assert "ERROR: AddressSanitizer" not in answer.stderr
    assert "LeakSanitizer" not in answer.stderr


def test_a_sound_cell_has_all_its_numbers(answer: Answer) -> None:
    (cell,) = [line for line in answer.lines if line.get("id") == "scale"]
    assert 20 <= len(cell["samples_ns"]) <= 40
    assert all(sample > 0 for sample in cell["samples_ns"])
    assert cell["threads"] == 1
    assert len(cell["cpus"]) == 1
    assert cell["weight_bytes"] == 4096
    assert cell["arg_bytes"] == 3 * 4096
    assert cell["cold_ns"] > 0
    assert cell["peak_rss_delta_bytes"] is None or cell["peak_rss_delta_bytes"] >= 8192
    assert {
        "khz_before",
        "khz_after",
        "milli_c_before",
        "milli_c_after",
        "involuntary_switches",
        "load1",
    } <= set(cell)


def test_short_calls_are_repeated_until_a_sample_can_be_timed(answer: Answer) -> None:
    """How often follows from a time, which a busy machine stretches: the bound is far below what is usual."""
    cells = {cell["id"]: cell for cell in answer.lines[:-1] if cell["status"] == "ok"}
    quickest = min(cells.values(), key=lambda cell: statistics.median(cell["samples_ns"]))
    assert quickest["inner"] >= 3


def test_workspaces_are_counted(answer: Answer) -> None:
    (cell,) = [line for line in answer.lines if line.get("id") == "workspace"]
    assert cell["workspace_bytes"] == 4000


def test_cells_lists_what_bench_measures(agent: Path, answer: Answer) -> None:
    assert set(run_agent(agent, "cells").one("cells")["ids"]) == {line["id"] for line in answer.lines[:-1]}


def test_threads_share_the_tasks(agent: Path, tmp_path: Path) -> None:
    need_path(Path("/sys/devices/system/cpu/cpu1"), why="two cpus are needed")
    chosen = ("parallel", "nested", "raise_in_task", "workspace")
    (tmp_path / "ids").write_text("\r\n".join(chosen) + "\n\n")
    answer = run_agent(agent, "bench", *QUICK, "--threads", "2", "--only-from", tmp_path / "ids")
    status = {line["id"]: line["status"] for line in answer.lines[:-1]}
    assert status == dict.fromkeys(chosen, "ok") | {"raise_in_task": "failed"}
    assert all(line["threads"] == 2 for line in answer.lines if line.get("status") == "ok")


def test_order_depends_on_the_seed_alone(released: Path, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("\n".join(sorted(set(FAILURES) - {"forever"})))

    def order(seed: int) -> list[str]:
        lines = run_agent(released, "bench", *QUICK, "--only-from", tmp_path / "ids", "--seed", str(seed)).lines
        return [line["id"] for line in lines[:-1]]

    assert order(1) == order(1)
    assert order(1) != order(2)
    assert sorted(order(1)) == sorted(order(2))


def refusal(agent: Path, *arguments: str | Path) -> str:
    answer = run_agent(agent, "bench", *arguments)
    assert answer.status == 1
    assert len(answer.lines) == 1
    return str(answer.one("error")["reason"])


def test_an_unknown_cell_is_refused(agent: Path, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("scale\nnowhere\n")
    assert "'nowhere'" in refusal(agent, "--only-from", tmp_path / "ids")
    assert "No such file" in refusal(agent, "--only-from", tmp_path / "absent")
    assert "directory" in refusal(agent, "--only-from", tmp_path).lower()


def test_more_threads_than_cpus_are_refused(agent: Path) -> None:
    allowed = len(os.sched_getaffinity(0))
    assert f"may use {allowed} cpus" in refusal(agent, "--threads", str(allowed + 1))
    done = subprocess.run(
        [
            need("taskset", package="util-linux"),
            "-c",
            str(min(os.sched_getaffinity(0))),
            str(agent),
            "bench",
            "--threads",
            "2",
        ],
        capture_output=True,
        check=False,
        env=agent_environment(),
    )
    assert done.returncode == 1
    assert parse_lines(done.stdout) == [{"type": "error", "reason": "2 threads asked, but this process may use 1 cpus"}]


@pytest.mark.parametrize("cpus", ["", "x", "0-", "1-0", "0,0", "0,,1", "-1", "0 ", "99999999999999999999"])
def test_malformed_cpu_lists_are_refused(agent: Path, cpus: str) -> None:
    assert "is not a list of cpus" in refusal(agent, "--cpu", cpus)


def test_cpus_can_be_named(agent: Path, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("scale")
    last = max(os.sched_getaffinity(0))
    answer = run_agent(agent, "bench", *QUICK, "--only-from", tmp_path / "ids", "--cpu", str(last))
    assert answer.one("cell")["cpus"] == [last]
    assert "may not use cpu 1023" in refusal(agent, "--cpu", "1023")


def test_displaced_cells_are_timed_call_by_call_in_the_state_a_model_leaves(agent: Path) -> None:
    """The weights of `scale` are out of the caches then; its results must not depend on it."""
    answer = run_agent(agent, "bench", *QUICK, "--displace-kb", "4096")
    cells = {line["id"]: line for line in answer.lines[:-1]}
    assert {name for name, cell in cells.items() if cell["status"] == "ok"} == SOUND
    assert {name: cell["reason"] for name, cell in cells.items() if cell["status"] == "failed"} == FAILURES
    assert {cell["inner"] for cell in cells.values() if cell["status"] == "ok"} == {1}
    assert all(sample > 0 for sample in cells["scale"]["samples_ns"])
    # What is displaced is not the kernel's memory.
    assert cells["scale"]["arg_bytes"] == 3 * 4096
    assert cells["scale"]["peak_rss_delta_bytes"] is None or cells["scale"]["peak_rss_delta_bytes"] < 4096 * 1024
    assert "ERROR: AddressSanitizer" not in answer.stderr
    assert "runtime error" not in answer.stderr


def test_workers_are_awake_as_between_the_operations_of_a_model(
    agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Displacing memory takes longer than workers spin; what waking them costs is none of a kernel's time."""
    need_cpus(2)
    monkeypatch.setenv("HWA_TEST_AWAKE", "1")
    (tmp_path / "ids").write_text("awake")
    words = ("bench", *QUICK, "--threads", "2", "--only-from", str(tmp_path / "ids"))
    assert run_agent(agent, *words, "--displace-kb", "32768").one("cell")["status"] == "ok"
