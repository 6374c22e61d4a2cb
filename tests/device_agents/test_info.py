"""`info` and the bare agent: facts that agree with what Python sees of the same machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from device_agents import NATIVE
from tests.device_agents.building import RELEASED, SANITIZED, build_agent, run_agent
from tests.device_agents.sysfs import FakeSys

MIB = 1 << 20
CPU_MEMBERS = {
    *("id", "online", "capacity", "governor", "part", "core"),
    *("max_khz", "cur_khz", "scaling_min_khz", "scaling_max_khz"),
}


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
        "compatible",
    } <= set(facts)
    assert facts["features"]
    assert all(set(cpu) == CPU_MEMBERS for cpu in facts["cpus"])
    assert all(cache["bytes"] > 0 for cache in facts["caches"])


@pytest.mark.skipif(Path("/proc/device-tree").exists(), reason="this machine has a device tree of its own")
def test_a_board_as_its_kernel_describes_it(bare: Path, tmp_path: Path) -> None:
    sys = FakeSys(tmp_path)
    tree = sys.path("firmware/devicetree/base")
    tree.mkdir(parents=True)
    (tree / "model").write_bytes(b"Radxa ROCK 5B\0")
    (tree / "compatible").write_bytes(b"radxa,rock-5b\0rockchip,rk3588\0")
    sys.zone(0, 41_500, {}, "soc-thermal")
    sys.zone(1, -3_000, {}, "gpu")
    cpus = sys.cpus
    sys.write("devices/system/cpu/possible", f"0-{cpus[-1]}")
    sys.write("devices/system/cpu/online", f"0-{cpus[-1]}")
    for cpu in cpus:
        size = "512K" if cpu == cpus[-1] else "128K"  # a big core's, and a little one's
        for leaf, text in (("level", "2"), ("type", "Unified"), ("size", size)):
            sys.write(f"devices/system/cpu/cpu{cpu}/cache/index0/{leaf}", text)
        sys.write(f"devices/system/cpu/cpu{cpu}/cpu_capacity", "1024" if cpu == cpus[-1] else "485")
    answer = run_agent(bare, "info", "--sysfs", tmp_path)
    facts = answer.one("info")
    assert facts["machine_model"] == "Radxa ROCK 5B"
    assert facts["compatible"] == ["radxa,rock-5b", "rockchip,rk3588"]
    assert facts["thermal"] == [{"type": "soc-thermal", "milli_c": 41_500}, {"type": "gpu", "milli_c": -3_000}]
    told = {cpu["id"]: cpu for cpu in facts["cpus"]}
    assert {name: told[cpus[-1]][name] for name in ("max_khz", "cur_khz", "scaling_min_khz", "scaling_max_khz")} == {
        "max_khz": 1_800_000,
        "cur_khz": 1_800_000,
        "scaling_min_khz": 600_000,
        "scaling_max_khz": 1_500_000,
    }
    assert told[cpus[-1]]["governor"] == "ondemand"
    assert facts["caches"] == [{"level": 2, "type": "Unified", "bytes": 512 << 10}]


def test_without_a_device_tree_there_is_none(bare: Path, tmp_path: Path) -> None:
    facts = run_agent(bare, "info", "--sysfs", FakeSys(tmp_path).root).one("info")
    assert facts["compatible"] == [] or Path("/proc/device-tree").exists()
    assert facts["caches"] == facts["thermal"] == []


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
        ("info", "--sysfs"),
        ("info", "--cpu", "0"),
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
