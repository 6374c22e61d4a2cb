"""`info` and the bare agent: facts that agree with what Python sees of the same machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from device_agents import NATIVE
from tests.device_agents.building import RELEASED, SANITIZED, build_agent, run_agent

MIB = 1 << 20


@pytest.fixture(scope="module", params=[RELEASED, SANITIZED], ids=["released", "sanitized"])
def bare(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_agent(tmp_path_factory.mktemp("bare") / "agent", [NATIVE / "bare" / "tables.c"], request.param)


def test_info_agrees_with_python(bare: Path) -> None:
    answer = run_agent(bare, "info")
    facts = answer.one("info")
    assert answer.status == 0
    assert facts["protocol"] == 1
    assert facts["arch"] == platform.machine()
    assert facts["kernel"] == platform.release()
    assert facts["emulated"] is False
    assert facts["page_bytes"] == os.sysconf("SC_PAGESIZE")
    assert facts["memory_bytes"] == pytest.approx(os.sysconf("SC_PHYS_PAGES") * facts["page_bytes"], rel=0.02)
    assert sum(cpu["online"] for cpu in facts["cpus"]) == os.sysconf("SC_NPROCESSORS_ONLN")
    assert facts["load1"] == pytest.approx(os.getloadavg()[0], abs=1)


def test_info_has_every_member(bare: Path) -> None:
    facts = run_agent(bare, "info").one("info")
    assert {
        "agent_sha256",
        "libc",
        "machine_model",
        "cpu_model",
        "cpu_part",
        "features",
        "caches",
        "thermal",
        "os",
    } <= set(facts)
    assert facts["features"]
    assert all(set(cpu) == {"id", "online", "capacity", "max_khz", "cur_khz", "governor"} for cpu in facts["cpus"])
    assert all(cache["bytes"] > 0 for cache in facts["caches"])


def test_bare_agent_has_nothing_to_measure(bare: Path) -> None:
    assert run_agent(bare, "cells").lines == [{"type": "cells", "ids": []}]
    assert run_agent(bare, "bench").lines == [{"type": "done", "cells": 0}]
    refused = run_agent(bare, "run")
    assert (refused.status, refused.lines) == (
        1,
        [{"type": "error", "reason": "this agent carries no model"}],
    )


def test_release_with_kernels_stays_under_a_mebibyte(released: Path) -> None:
    assert released.stat().st_size < MIB
    assert b"\x00.symtab\x00" not in released.read_bytes()  # stripped


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("unknown",),
        ("info", "more"),
        ("bench", "--threads", "0"),
        ("bench", "--threads", "two"),
        ("bench", "--threads"),
        ("bench", "--per-op"),
        ("run", "--only-from", "x"),
        ("run", "--seed", "99999999999999999999"),
    ],
)
def test_wrong_usage_exits_2_with_a_message(bare: Path, arguments: tuple[str, ...]) -> None:
    answer = run_agent(bare, *arguments)
    assert answer.status == 2
    assert answer.lines == []
    assert answer.stderr.strip()
