"""Which artifacts a device may run: those whose needs it says it meets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hwaware.compiler.artifact import Artifact
from hwaware.compiler.targets import base_target
from hwaware.devices.facts import Cache, DeviceFacts
from hwaware.errors import ArtifactError
from hwaware.profiling.target import check_runs_on, target_of
from tests.compiler.test_targets import A7, ARMV8, AVX2, AVX512, NEON, V2


@dataclass(frozen=True)
class Board:
    """A device that only says what it is."""

    told: DeviceFacts
    name: str = "board"

    def facts(self, _agent: object) -> DeviceFacts:
        return self.told


def board(arch: str, features: set[str], model: str | None = None) -> Any:
    caches = (Cache(1, "Instruction", 16384), Cache(1, "Data", 65536), Cache(2, "Unified", 1 << 20))
    told = DeviceFacts(
        1, None, arch, "6.1", None, model, None, tuple(sorted(features)), (), caches, 1 << 30, 4096, 0.0, (), None,
        None, emulated=False,
    )  # fmt: skip
    return Board(told)


def artifact(name: str) -> Artifact:
    identity = base_target(name).identity() if name != "z80" else {"name": name, "lanes": 1}
    return Artifact(Path("made"), {"target": identity})


def test_the_core_and_its_data_caches_make_the_target() -> None:
    target = target_of(board("aarch64", ARMV8, "Cortex-A53"))
    assert (target.name, target.l1, target.l2) == ("aarch64-a53", 65536, 1 << 20)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("x86_64", board("x86_64", AVX512)),
        ("x86_64-avx2", board("x86_64", AVX512)),
        ("aarch64-a76", board("aarch64", ARMV8, "Cortex-A53")),
        ("aarch64", board("aarch64", ARMV8)),
        ("armv7-neon", board("armv7l", A7)),
    ],
)
def test_code_that_needs_less_runs(name: str, device: Any) -> None:
    check_runs_on(artifact(name), device)


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("x86_64-avx512", board("x86_64", AVX2)),
        ("x86_64-avx2", board("x86_64", V2)),
        ("armv7", board("armv7l", NEON)),
        ("armv7", board("aarch64", ARMV8)),
        ("aarch64", board("x86_64", AVX2)),
        ("z80", board("x86_64", AVX2)),
    ],
)
def test_code_that_needs_more_is_refused(name: str, device: Any) -> None:
    with pytest.raises(ArtifactError, match=f"was compiled for {name}, device board is .*compile it again"):
        check_runs_on(artifact(name), device)
