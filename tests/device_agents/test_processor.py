"""What the agent makes of /proc/cpuinfo: cores that differ, and only the features that all of them have."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import pytest

from device_agents import NATIVE
from hwaware.compiler.targets import base_target, plain_target
from hwaware.compiler.toolchain import run_tool, toolchain
from tests.device_agents.building import SANITIZED, SOURCES, WARNINGS
from tests.requirements import need

PARTS = [NATIVE / name for name in ("processor.c", "arm_parts.c", "hwcap.c", "text.c")]
# A first use of a target builds its C library.
pytestmark = pytest.mark.timeout(600)

RK3399 = """\
processor\t: 0
BogoMIPS\t: 48.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd03
CPU revision\t: 4

processor\t: 2
BogoMIPS\t: 48.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 asimddp cpuid
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 2
"""
OLD_KERNEL = """\
Processor\t: AArch64 Processor rev 3 (aarch64)
processor\t: 0
processor\t: 1
Features\t: fp asimd
CPU implementer\t: 0x41
CPU part\t: 0xd07

Hardware\t: a board
"""
STRANGER = RK3399.replace("CPU implementer\t: 0x41", "CPU implementer\t: 0x99")
UNKNOWN = {"part": None, "core": None}


def build_reader(name: str, folder: Path) -> list[str]:
    """The reader for the target `name`, under emulation where this machine is none."""
    tools = toolchain(base_target(name))
    sources = [str(SOURCES / "processor.c"), *map(str, PARTS)]
    # Flags as of the agent: for others zig builds the C library once more.
    flags = ("-std=gnu11", "-Os", "-fno-asynchronous-unwind-tables", "-static", "-s")
    run_tool([*tools.cc, *flags, "-I", str(NATIVE), "-o", "reader", *sources], folder, "the reader")
    if plain_target(platform.machine()).name == name:
        return [str(folder / "reader")]
    family = {"armv7": "arm"}.get(name, name)
    return [need(f"qemu-{family}-static", package="qemu-user-static"), str(folder / "reader")]


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return build_reader("aarch64", tmp_path_factory.mktemp("arm"))


def reading(command: list[str], folder: Path, cpuinfo: str, *capacities: int) -> dict[str, Any]:
    (folder / "cpuinfo").write_text(cpuinfo)
    words = [*command, str(folder / "cpuinfo"), *map(str, capacities)]
    found: dict[str, Any] = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=60).stdout)
    return found


def test_big_and_little_cores_are_told_apart(arm: list[str], tmp_path: Path) -> None:
    found = reading(arm, tmp_path, RK3399, 485, 485, 1024)
    assert found["cpus"] == [
        {"part": "0xd03", "core": "Cortex-A53"},
        UNKNOWN,  # offline
        {"part": "0xd08", "core": "Cortex-A72"},
    ]
    assert (found["model"], found["part"]) == ("Cortex-A72", "0xd08")


def test_the_fastest_core_gives_the_name_wherever_it_stands(arm: list[str], tmp_path: Path) -> None:
    assert reading(arm, tmp_path, RK3399, 1024, 1024, 485)["model"] == "Cortex-A53"
    assert reading(arm, tmp_path, RK3399)["model"] == "Cortex-A72"  # no capacities: the last one


def test_only_what_every_core_can_do_counts(arm: list[str], tmp_path: Path) -> None:
    features = reading(arm, tmp_path, RK3399)["features"]
    assert features == ["fp", "asimd", "evtstrm", "aes", "pmull", "sha1", "sha2", "crc32", "cpuid"]
    swapped = "\n\n".join(reversed(RK3399.split("\n\n")))
    assert reading(arm, tmp_path, swapped)["features"] == features


def test_one_part_for_all_as_old_kernels_tell_it(arm: list[str], tmp_path: Path) -> None:
    found = reading(arm, tmp_path, OLD_KERNEL)
    assert found["cpus"] == [{"part": "0xd07", "core": "Cortex-A57"}] * 2 + [UNKNOWN]
    assert found["features"] == ["fp", "asimd"]


def test_a_core_of_another_maker_has_a_part_and_no_name(arm: list[str], tmp_path: Path) -> None:
    found = reading(arm, tmp_path, STRANGER)
    assert found["cpus"][0] == {"part": "0xd03", "core": None}
    assert found["model"] == ""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="reads the flags of an x86")
@pytest.mark.parametrize(
    ("first", "second", "common"),
    [
        ("fpu sse avx512f avx2 ", " avx2 fpu sse", ["fpu", "sse", "avx2"]),
        ("fpu avx", "avx512f fpu avxvnni", ["fpu"]),
        ("sse", "fpu", []),
        ("fpu sse", "fpu sse", ["fpu", "sse"]),
    ],
)
def test_flags_that_some_cores_lack_are_left_out(tmp_path: Path, first: str, second: str, common: list[str]) -> None:
    command = [need("cc", package="gcc"), "-std=gnu11", *WARNINGS, *SANITIZED, "-I", str(NATIVE), "-o", "reader"]
    subprocess.run([*command, str(SOURCES / "processor.c"), *map(str, PARTS)], check=True, cwd=tmp_path)
    stanzas = [f"processor\t: {cpu}\nmodel name\t: x\nflags\t\t: {flags}\n" for cpu, flags in ((0, first), (1, second))]
    assert reading([str(tmp_path / "reader")], tmp_path, "\n".join(stanzas))["features"] == common
