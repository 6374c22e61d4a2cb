"""Code for the instructions that multiply 8-bit integers: only where a device has them, and only integer code."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.compiler.build import compile_module
from hwaware.compiler.cores import CORES, EXTENDED, TARGETS
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.targets import Target, base_target, for_integers, restored_target, target_for
from hwaware.graph.ir import Spec
from hwaware.graph.workload import Attr, Workload, canonical
from tests.compiler.test_targets import ARMV8, AVX2, AVX512

WITH = [(name, target) for name, targets in EXTENDED.items() for target in targets]
every_extension = pytest.mark.parametrize(("name", "target"), WITH, ids=[target.name for _, target in WITH])
V8_2 = ARMV8 | {"atomics", "fphp", "asimdhp", "asimdrdm", "lrcpc", "asimddp"}
I8MM = V8_2 | {"i8mm", "bf16"}


def chosen(machine: str, features: frozenset[str], core: str | None = None) -> Target:
    """The target for integers on a device."""
    return for_integers(target_for(machine, features, core=core), features)


@pytest.mark.parametrize(
    ("features", "name"),
    [
        (AVX512 | {"avx512_vnni"}, "x86_64-avx512vnni"),
        (AVX512 | {"avx512_vnni", "avx_vnni"}, "x86_64-avx512vnni"),  # Sapphire Rapids, Zen 5
        (AVX2 | {"avx_vnni"}, "x86_64-avxvnni"),  # Alder Lake
        (AVX512 | {"avx_vnni"}, "x86_64-avx512"),
        ((AVX512 - {"avx512vl"}) | {"avx512_vnni"}, "x86_64-avx2"),
        ((AVX512 - {"xsave"}) | {"avx512_vnni", "avx_vnni"}, "x86_64"),
    ],
)
def test_x86_by_its_features(features: set[str], name: str) -> None:
    assert chosen("x86_64", frozenset(features)).name == name


@pytest.mark.parametrize(
    ("core", "features", "name"),
    [
        ("Cortex-A53", ARMV8, "aarch64-a53"),
        ("Cortex-A72", ARMV8, "aarch64-a72"),
        ("Cortex-A55", V8_2, "aarch64-a55-dotprod"),
        ("Cortex-A55", ARMV8, "aarch64-a55"),  # as a hypervisor may show it
        ("Cortex-A510", I8MM, "aarch64-a55-dotprod"),
        ("Cortex-A76", V8_2, "aarch64-a76-dotprod"),
        ("Cortex-A78", V8_2, "aarch64-a76-dotprod"),
        ("Cortex-X1", V8_2, "aarch64-a76-dotprod"),
        ("Cortex-X2", I8MM, "aarch64-a76-i8mm"),
        ("Neoverse-V1", I8MM, "aarch64-a76-i8mm"),
        ("Cortex-A75", V8_2, "aarch64-a72-dotprod"),
        ("Apple M1", V8_2, "aarch64-dotprod"),
        (None, I8MM, "aarch64-i8mm"),
        (None, I8MM - {"asimddp"}, "aarch64"),
    ],
)
def test_aarch64_by_its_core_and_its_features(core: str | None, features: set[str], name: str) -> None:
    assert chosen("aarch64", frozenset(features), core).name == name


@given(
    machine=st.sampled_from(["x86_64", "aarch64", "armv7l"]),
    kept=st.frozensets(st.sampled_from(sorted(AVX512 | {"avx512_vnni", "avx_vnni"} | I8MM))),
    core=st.sampled_from([None, *CORES]),
)
def test_never_more_than_the_device_has(machine: str, kept: frozenset[str], core: str | None) -> None:
    needed = {"x86_64": {"sse4_2", "ssse3", "popcnt"}, "aarch64": ARMV8, "armv7l": {"neon"}}[machine]
    assert chosen(machine, kept | needed, core).needs <= kept | needed


@every_extension
def test_a_table_restores_its_target(name: str, target: Target) -> None:
    assert restored_target(target.identity()) == target == base_target(target.name)
    core = next((core for core, known in CORES.items() if known == name), None)
    features = target.needs | ARMV8
    made = for_integers(target_for(target.triple.partition("-")[0], features, {2: 3 << 20}, core), features)
    assert made.l2 == 3 << 20
    assert made.name == target.name
    assert restored_target(made.identity()) == made


@every_extension
def test_only_features_for_integers_are_added(name: str, target: Target) -> None:
    base = base_target(name)
    assert replace(target, name=base.name, features=base.features, needs=base.needs) == base
    assert target.needs > base.needs
    added = set(target.features) - set(base.features)
    assert added <= {"+avx512vnni", "+avxvnni", "+dotprod", "+i8mm"}
    # LLVM is told one thing of each.
    assert len({feature[1:] for feature in target.features}) == len(target.features)
    assert target not in TARGETS


@every_extension
def test_code_in_float32_stays_what_it_is(name: str, target: Target) -> None:
    attrs: dict[str, Attr] = {"kernel": (1, 1), "stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1}
    specs = [Spec((1, 9, 9, channels), "float32") for channels in (24, 40)]
    work = Workload("conv2d", (specs[0],), specs[1], canonical(attrs))
    base = base_target(name)
    assert candidates(work, target) == candidates(work, base)
    assert _instructions(work, target) == _instructions(work, base)


def _instructions(work: Workload, target: Target) -> list[str]:
    text = compile_module([generate(work, target)], target).mod.inspect_source("asm")
    return [line for line in text.splitlines() if line.startswith("\t") and not line.startswith("\t.")]
