"""Which code a device gets: never more than it says it can run, and tiles that follow its core."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agents import NATIVE
from hwaware.compiler.cores import CORES, TARGETS
from hwaware.compiler.schedules.tile import choose_tile
from hwaware.compiler.targets import Target, base_target, plain_target, restored_target, target_for
from hwaware.errors import BuildError

V2 = {"sse3", "ssse3", "sse4_1", "sse4_2", "popcnt", "cx16"}
AVX2 = V2 | {"xsave", "avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "abm", "movbe"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
NEON = {"half", "thumb", "neon", "vfpv3", "tls"}
A7 = NEON | {"vfpv4", "idiva", "idivt"}
ARMV8 = {"fp", "asimd", "evtstrm", "crc32", "cpuid"}
every_target = pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])


@pytest.mark.parametrize(
    ("features", "name"),
    [
        (V2, "x86_64"),
        (AVX2, "x86_64-avx2"),
        (AVX512, "x86_64-avx512"),
        (AVX512 - {"fma"}, "x86_64"),
        (AVX512 - {"avx512dq"}, "x86_64-avx2"),  # Knights Landing has avx512f and avx512cd alone
        (AVX512 - {"avx512vl", "avx512bw"}, "x86_64-avx2"),
        (AVX512 - {"xsave"}, "x86_64"),  # hidden by a hypervisor: the system keeps no wide registers
        (AVX2 - {"avx"}, "x86_64"),
    ],
)
def test_x86_by_its_features(features: set[str], name: str) -> None:
    assert target_for("x86_64", frozenset(features | {"pni"})).name == name


def test_x86_without_sse42() -> None:
    with pytest.raises(BuildError, match=r"x86_64 processor lacks popcnt, sse4_2, ssse3"):
        target_for("x86_64", frozenset({"sse2"}))


@pytest.mark.parametrize(
    ("features", "name"),
    [(A7, "armv7"), (NEON, "armv7-neon"), (NEON | {"vfpv4"}, "armv7-neon")],
    ids=["A7", "A9", "A5"],
)
def test_armv7_by_its_features(features: set[str], name: str) -> None:
    assert target_for("armv7l", frozenset(features), core="Cortex-A53").name == name


def test_armv7_without_neon() -> None:
    with pytest.raises(BuildError, match="lacks neon"):
        target_for("armv7l", frozenset({"vfpv3", "vfpv3d16"}))  # Tegra 2


@pytest.mark.parametrize(
    ("core", "name", "cpu"),
    [
        ("Cortex-A53", "aarch64-a53", "cortex-a53"),
        ("Cortex-A55", "aarch64-a55", "cortex-a55"),
        ("Cortex-A72", "aarch64-a72", "cortex-a72"),
        ("Cortex-A76", "aarch64-a76", "cortex-a76"),
        ("Neoverse-N1", "aarch64-a76", "cortex-a76"),
        ("Apple M1", "aarch64", "cortex-a72"),
        (None, "aarch64", "cortex-a72"),
    ],
)
def test_aarch64_by_its_core(core: str | None, name: str, cpu: str) -> None:
    made = target_for("aarch64", frozenset(ARMV8), core=core)
    assert (made.name, made.cpu) == (name, cpu)
    # Cores differ in what they add to ARMv8.0; code uses none of it, so that it runs on every other.
    assert not any(feature.startswith("+") for feature in made.features if feature != "+neon")


def test_the_agent_names_the_cores() -> None:
    named = set(re.findall(r'"(Cortex-\w+|Neoverse-\w+)"', (NATIVE / "arm_parts.c").read_text()))
    assert set(CORES) <= named
    assert set(CORES.values()) <= {target.name for target in TARGETS}


every_feature = sorted(AVX512 | A7 | ARMV8)


@given(
    machine=st.sampled_from(["x86_64", "aarch64", "armv7l", "riscv64"]),
    features=st.frozensets(st.sampled_from(every_feature)),
    core=st.sampled_from([None, "AMD EPYC", *CORES]),
)
def test_never_more_than_the_device_has(machine: str, features: frozenset[str], core: str | None) -> None:
    try:
        made = target_for(machine, features, core=core)
    except BuildError:
        assert not any(t.needs <= features for t in TARGETS if t.triple == plain_target(machine).triple)
        return
    assert made.needs <= features
    assert made.triple == plain_target(machine).triple


@pytest.mark.parametrize(
    ("machine", "name"),
    [("aarch64", "aarch64"), ("arm64", "aarch64"), ("armv7l", "armv7"), ("armv8l", "armv7"), ("riscv64", "riscv64")],
)
def test_machines_as_uname_names_them(machine: str, name: str) -> None:
    assert plain_target(machine).name == name


def test_caches_come_from_the_device() -> None:
    made = target_for("aarch64", frozenset(ARMV8), {1: 65536, 2: 1048576})
    assert (made.l1, made.l2) == (65536, 1048576)
    assert target_for("aarch64", frozenset(ARMV8)).l2 == base_target("aarch64").l2


@every_target
def test_a_table_restores_its_target(target: Target) -> None:
    family = next(machine for machine in ("x86_64", "aarch64", "armv7l", "riscv64") if _same(target, machine))
    core = next((core for core, name in CORES.items() if name == target.name), None)
    made = target_for(family, target.needs, {1: 48 * 1024, 2: 3 << 20}, core)
    assert made.name == target.name
    assert restored_target(made.identity()) == made


@pytest.mark.parametrize("size", [None, "x", 0, -1, 1.5])
def test_a_file_with_an_impossible_cache_is_refused(size: object) -> None:
    with pytest.raises(BuildError, match="cache l1"):
        restored_target({"name": "x86_64-avx2", "l1": size})


def _same(target: Target, machine: str) -> bool:
    return target.triple == plain_target(machine).triple


def test_unknown_machines_and_targets() -> None:
    with pytest.raises(BuildError, match="known are aarch64"):
        plain_target("sparc64")
    with pytest.raises(BuildError, match="choose one of"):
        base_target("z80")


@every_target
@pytest.mark.parametrize(("positions", "channels"), [(1, 1), (7, 64), (196, 96), (3136, 24), (13, 1000)])
def test_tiles_fit_the_registers(target: Target, positions: int, channels: int) -> None:
    tile = choose_tile(positions, channels, target)
    assert target.tile_registers(tile.positions, tile.vectors) <= target.registers
    # Enough sums that none is waited for, where there is so much to do.
    if positions >= 28 and channels >= 64:
        assert tile.positions * tile.vectors * target.fma_cycles >= target.fma_latency


def test_a_core_that_loads_slowly_gets_the_squarer_tile() -> None:
    """Cortex-A53 stops multiplying for each load, so that it wants few of them a multiply-add."""
    slow, fast = (choose_tile(784, 96, base_target(name)) for name in ("aarch64-a53", "x86_64-avx512"))
    loads = [(tile.positions + tile.vectors) / (tile.positions * tile.vectors) for tile in (slow, fast)]
    assert loads[0] < 0.7
    assert base_target("aarch64-a53").step_cycles(6, 3) < base_target("aarch64-a53").step_cycles(18, 1)
    assert base_target("x86_64-avx512").step_cycles(28, 1) == 28
    assert loads[1] < 1.1
