"""Inner loops as the processor meets them: fused multiply-adds on registers, no spills, and little beside them.

Every target is compiled and read on any machine; what runs them is tested elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compiler.build import write_object
from hwaware.compiler.choice import Choice
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.targets import Target, base_target
from hwaware.graph.workload import Workload
from tests.compiler.disassembly import Loop, innermost_loops
from tests.compiler.inprocess import Case, lowered

# Least accumulators of the hot loop, and how many instructions may stand beside its multiply-adds: for each of them,
# and a reduction step for each position (its input) and each vector (of weights). Without fused multiply-adds there is
# a multiplication, on SSE with copies; one load brings AArch64 the inputs of four steps; ARMv7 computes addresses.
BARS = {
    "x86_64-avx512": (24, 0, 1, 1),
    "x86_64-avx2": (12, 0, 1, 1),
    "x86_64": (12, 2, 2, 1),
    "aarch64": (16, 0, 0.25, 1),
    "aarch64-a53": (14, 0, 0.25, 1),
    "aarch64-a55": (14, 0, 0.25, 1),
    "aarch64-a72": (16, 0, 0.25, 1),
    "aarch64-a76": (16, 0, 0.25, 1),
    "armv7": (9, 0, 2, 1),
    "armv7-neon": (6, 1, 2, 1),
}
# Counting, comparing and branching, and moving a few pointers.
LOOP = 6
CONVOLUTIONS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "3x3": (nn.Conv2d(64, 64, 3, padding=1), (1, 64, 28, 28)),
    "1x1": (nn.Conv2d(384, 64, 1), (1, 384, 14, 14)),
}
DEPTHWISE = (nn.Conv2d(64, 64, 3, padding=1, groups=64), (1, 64, 28, 28))
every_target = pytest.mark.parametrize("target", [base_target(name) for name in BARS], ids=BARS)
every_convolution = pytest.mark.parametrize("name", CONVOLUTIONS)


@cache
def workload(layer: nn.Module, shape: tuple[int, ...]) -> Workload:
    ops = lowered(Case(layer.eval(), (torch.randn(shape),))).ops
    return next(op.workload for op in ops if op.workload.kind == "conv2d")


def direct(work: Workload, target: Target) -> list[Choice]:
    """The register tiles of a convolution, best guess first."""
    return [choice for choice in candidates(work, target) if choice.schedule == "direct"]


def loops(work: Workload, target: Target, choices: list[Choice], folder: Path) -> list[Loop]:
    """Innermost loops with multiply-adds of the kernels, the largest tile first."""
    path = folder / "kernels.o"
    write_object([generate(work, target, choice) for choice in choices], target, path)
    return [loop for loop in innermost_loops(path, target.name) if loop.multiply_adds > 1]


@every_convolution
@every_target
def test_no_tile_spills(target: Target, name: str, tmp_path: Path) -> None:
    work = workload(*CONVOLUTIONS[name])
    for loop in loops(work, target, direct(work, target), tmp_path):
        assert loop.spills == []
        assert loop.stores == []


@every_convolution
@every_target
def test_the_hot_loop_is_a_full_tile(target: Target, name: str, tmp_path: Path) -> None:
    work = workload(*CONVOLUTIONS[name])
    choice = direct(work, target)[0]
    hot = loops(work, target, [choice], tmp_path)[0]
    positions, vectors = choice.get("positions", 0), choice.get("vectors", 0)
    least, beside_each, beside_input, beside_weights = BARS[target.name]
    # Each sum of the tile is added to once a reduction step.
    assert len(hot.sums) == positions * vectors >= least
    (steps,) = set(hot.sums.values())
    beside = hot.multiply_adds * beside_each + steps * (positions * beside_input + vectors * beside_weights) + LOOP
    assert len(hot.body) - hot.multiply_adds <= beside, [item.text for item in hot.body]
    assert hot.stack == []


@every_target
def test_depthwise_stays_in_registers(target: Target, tmp_path: Path) -> None:
    """Its innermost loop may run over tiles, which then store what they computed."""
    work = workload(*DEPTHWISE)
    assert loops(work, target, [candidates(work, target)[0]], tmp_path)[0].spills == []


@every_target
def test_a_tile_beyond_the_registers_is_found_out(target: Target, tmp_path: Path) -> None:
    work = workload(*CONVOLUTIONS["1x1"])
    greedy = replace(target, registers=2 * target.registers + 16)
    choice = Choice.of("direct", positions=2 * target.registers // 3 + 1, vectors=3)
    found = loops(work, greedy, [choice], tmp_path)
    assert any(loop.spills for loop in found)
    assert any(loop.stores for loop in found)


@pytest.mark.parametrize("name", [name for name in BARS if name.startswith("aarch64")])
def test_aarch64_multiplies_by_lanes(name: str, tmp_path: Path) -> None:
    work, target = workload(*CONVOLUTIONS["1x1"]), base_target(name)
    hot = loops(work, target, direct(work, target)[:1], tmp_path)[0]
    text = [item.text for item in hot.body]
    assert not any(line.startswith("ld1r") for line in text)
    assert {line[-3:] for line in text if line.startswith("fmla")} == {"[0]", "[1]", "[2]", "[3]"}
    assert 4 * sum(line.startswith("ld") for line in text) < hot.multiply_adds
