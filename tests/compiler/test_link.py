"""The tools that link: failures in one line, one cache that many may fill at once."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.compiler import link, toolchain
from hwaware.compiler.bundle import build_bundle
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import base_target, host_machine, plain_target
from hwaware.errors import BuildError
from hwaware.graph.ir import Spec
from hwaware.graph.workload import Workload
from tests.device_agents.building import run_agent
from tests.requirements import need

HOST = plain_target(host_machine())
DEBIAN = {"aarch64": "arm64", "armv7": "armhf"}
DENSE = Workload("dense", (Spec((1, 17), "float32"),), Spec((1, 23), "float32"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of builds."""
    monkeypatch.setenv("HWAWARE_CACHE", str(tmp_path / "a cache"))
    return tmp_path / "a cache"


def test_the_bare_agent_runs_and_is_built_once(cache: Path) -> None:
    agent = link.bare_agent(host_machine())
    before = agent.stat()
    assert run_agent(agent, "info").one("info")["arch"] == host_machine()
    assert run_agent(agent, "cells").one("cells")["ids"] == []
    assert link.bare_agent(host_machine()).stat() == before


def test_an_agent_with_one_kernel_is_below_a_mebibyte(cache: Path, tmp_path: Path) -> None:
    bundle = build_bundle([variant(DENSE, HOST)], HOST, tmp_path / "bundle")
    assert bundle.stat().st_size < 1024 * 1024
    sections = subprocess.run(["readelf", "-S", str(bundle)], capture_output=True, text=True, check=True, timeout=60)
    assert ".symtab" not in sections.stdout, "not stripped"
    assert (
        "INTERP"
        not in subprocess.run(
            ["readelf", "-l", str(bundle)], capture_output=True, text=True, check=True, timeout=60
        ).stdout
    ), "not static"


def test_builds_at_once_share_the_cache(cache: Path) -> None:
    """Several processes, each of which finds the cache empty."""
    program = (
        "from hwaware.compiler import link; from hwaware.compiler.targets import plain_target\n"
        f"paths = link.agent_objects(plain_target({host_machine()!r}))\n"
        "assert all(path.stat().st_size > 0 for path in paths)\n"
    )
    started = [subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for process in started:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said
    (folder,) = (cache / "objects").iterdir()
    assert sorted(path.suffix for path in folder.iterdir()) == [".o"] * len(link.agent_sources())


def test_threads_at_once_build_one_agent(cache: Path) -> None:
    with ThreadPoolExecutor(3) as pool:
        built = list(pool.map(link.bare_agent, [host_machine()] * 3))
    assert run_agent(built[0], "info").status == 0
    assert [path.name for path in (cache / "agents").iterdir()] == [built[0].name]


FAKES = {
    "fails": (
        "#!/bin/sh\necho 'note: the first line' >&2\necho 'x.c:1: error: broken' >&2\nexit 1\n",
        "x.c:1: error: broken",
    ),
    "says nothing": ("#!/bin/sh\nexit 7\n", "no message"),
    "is killed": ("#!/bin/sh\nkill -9 $$\n", "no message"),
    "is no program": ("", "cc"),
}


@pytest.mark.parametrize("name", FAKES)
def test_a_compiler_that_fails(name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script, said = FAKES[name]
    compiler = tmp_path / "cc"
    compiler.write_text(script)
    compiler.chmod(0o755)
    tools = toolchain.Toolchain("cc", (str(compiler),), ("ar",))
    monkeypatch.setattr(link, "toolchain", lambda target: tools)
    with pytest.raises(BuildError) as caught:
        link.bare_agent(host_machine())
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not list(cache.rglob("*.o"))
    assert not list(cache.rglob("bare-*"))


def test_a_compiler_that_is_absent(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = toolchain.Toolchain("cc", ("/nonexistent/cc",), ("ar",))
    monkeypatch.setattr(link, "toolchain", lambda target: tools)
    with pytest.raises(BuildError, match="hwaware doctor"):
        link.bare_agent(host_machine())


def test_a_compiler_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toolchain, "_TIMEOUT_S", 0.2)
    with pytest.raises(BuildError, match=r"took longer than 0.2 s"):
        toolchain.run_tool(["sleep", "5"], tmp_path, "compiling")


def test_targets_of_other_machines_are_linked_by_zig() -> None:
    for name in ("aarch64", "armv7", "riscv64"):
        target = base_target(name)
        assert target.triple == HOST.triple or toolchain.toolchain(target).cc[-1] == target.zig


def no_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if it were not installed."""
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ziglang" else found(name))


@pytest.mark.parametrize(
    ("name", "prefix", "emulator"),
    [("aarch64", "aarch64-linux-gnu", "aarch64"), ("armv7", "arm-linux-gnueabihf", "arm")],
)
def test_without_zig_a_cross_compiler_of_the_system_links(
    name: str, prefix: str, emulator: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need(f"{prefix}-gcc", package=f"gcc-{prefix} libc6-dev-{DEBIAN[name]}-cross")
    qemu = need(f"qemu-{emulator}-static", package="qemu-user-static")
    target = base_target(name)
    by_zig = toolchain.toolchain(target)
    no_zig(monkeypatch)
    assert toolchain.toolchain(target).name == f"{prefix}-gcc"
    assert by_zig.name == "zig"
    bundle = build_bundle([variant(DENSE, target)], target, tmp_path / "bundle")
    script = tmp_path / "agent"
    script.write_text(f'#!/bin/sh\nexec "{qemu}" "{bundle}" "$@"\n')
    script.chmod(0o755)
    cell = run_agent(script, "bench", "--min-time-ms", "1", "--min-count", "2").one("cell")
    assert min(cell["samples_ns"]) > 0


def test_without_any_compiler_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    no_zig(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    said = r"nothing here links for riscv64: `pip install ziglang`, or `apt-get install gcc-riscv64-linux-gnu`"
    with pytest.raises(BuildError, match=said):
        toolchain.toolchain(base_target("riscv64"))


def test_another_compiler_or_release_has_objects_of_its_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = toolchain.toolchain(HOST)
    first = link.agent_objects(HOST)
    for other in (replace(tools, version="another"), replace(tools, cc=(*tools.cc, "-DNDEBUG"))):
        monkeypatch.setattr(link, "toolchain", lambda target, other=other: other)
        assert {path.parent for path in link.agent_objects(HOST)}.isdisjoint(path.parent for path in first)
