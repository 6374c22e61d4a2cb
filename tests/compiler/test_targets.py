"""Which code a device gets: never more than it says it can run."""

from __future__ import annotations

import pytest

from hwaware.compiler.targets import base_target, plain_target, target_for
from hwaware.errors import BuildError

V2 = {"sse3", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16"}
AVX2 = V2 | {"avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "abm", "movbe"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}


@pytest.mark.parametrize(
    ("features", "name"),
    [(V2, "x86_64"), (AVX2, "x86_64-avx2"), (AVX512, "x86_64-avx512"), (AVX512 - {"fma"}, "x86_64")],
)
def test_x86_by_its_features(features: set[str], name: str) -> None:
    assert target_for("x86_64", frozenset(features | {"pni"})).name == name


def test_x86_without_sse42() -> None:
    with pytest.raises(BuildError, match=r"SSE4\.2"):
        target_for("x86_64", frozenset({"sse2"}))


@pytest.mark.parametrize(
    ("machine", "name"),
    [("aarch64", "aarch64"), ("arm64", "aarch64"), ("armv7l", "armv7"), ("armv8l", "armv7"), ("riscv64", "riscv64")],
)
def test_machines_as_uname_names_them(machine: str, name: str) -> None:
    assert plain_target(machine).name == name


def test_caches_come_from_the_device() -> None:
    made = target_for("aarch64", frozenset({"asimd", "neon", "fp"}), {1: 65536, 2: 1048576})
    assert (made.l1, made.l2) == (65536, 1048576)
    assert target_for("aarch64", frozenset({"asimd", "neon", "fp"})).l2 == base_target("aarch64").l2


def test_unknown_machines_and_targets() -> None:
    with pytest.raises(BuildError, match="known are aarch64"):
        plain_target("sparc64")
    with pytest.raises(BuildError, match="choose one of"):
        base_target("z80")
