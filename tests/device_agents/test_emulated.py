"""The frequency lock on other processors: real ARM code, under qemu's user emulation."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hwaware.compiler.link import compile_sources, link_agent
from hwaware.compiler.targets import base_target
from hwaware.compiler.toolchain import toolchain
from tests.device_agents.building import SOURCES, parse_lines
from tests.device_agents.sysfs import FakeSys
from tests.requirements import need

# The first use of a target builds its C library.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=["aarch64", "armv7"])
def command(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The emulator and an agent with the tests' kernels."""
    folder = tmp_path_factory.mktemp(request.param)
    target = base_target(request.param)
    compile_sources(toolchain(target), [SOURCES / "kernels.c"], folder, "compiling the tests' kernels")
    shutil.copy(SOURCES / "kernels.h", folder)
    link_agent(target, (SOURCES / "tables.c").read_text(), [folder / "kernels.o"], folder / "agent")
    emulator = {"aarch64": "qemu-aarch64-static", "armv7": "qemu-arm-static"}[request.param]
    return [need(emulator, package="qemu-user-static"), str(folder / "agent")]


def test_the_lock_is_taken_and_given_back(command: list[str], tmp_path: Path) -> None:
    fake = FakeSys(tmp_path / "fake")
    before = fake.snapshot()
    words = ["run", "--min-time-ms", "1", "--lock-frequency", "--sysfs", str(fake.root)]
    done = subprocess.run([*command, *words], capture_output=True, timeout=120, check=True)
    run = parse_lines(done.stdout)[0]
    assert (run["frequency_locked"], run["locked_khz"], run["khz_before"]) == (True, 1800000, 1800000)
    assert run["sentinel_before_ns"] > 0
    assert fake.snapshot() == before


def test_it_is_given_back_after_a_kill(command: list[str], tmp_path: Path) -> None:
    fake = FakeSys(tmp_path / "fake")
    before = fake.snapshot()
    (tmp_path / "ids").write_text("forever")
    words = ["bench", "--only-from", str(tmp_path / "ids"), "--lock-frequency", "--sysfs", str(fake.root)]
    process = subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not fake.is_locked():
        assert time.monotonic() < deadline, "the agent locks nothing"
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=10)
    while fake.snapshot() != before:
        assert time.monotonic() < deadline, "the frequency is not given back"
        time.sleep(0.01)
