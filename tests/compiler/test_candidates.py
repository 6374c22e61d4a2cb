"""Every candidate schedule of a layer computes the same: odd widths, borders, two images, few and many channels."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import nn

from hwaware.compiler.build import compile_module
from hwaware.compiler.choice import Choice
from hwaware.compiler.kernel import Kernel
from hwaware.compiler.schedules import candidates, generate
from hwaware.compiler.targets import Target, base_target
from hwaware.graph.lower import Program
from tests.compiler.inprocess import AVX2, TOLERANCE, Case, expected, lowered, relative_error, run_compiled
from tests.compiler.parallel import every_target

# Layers by what is hard about them, and the shape of their input.
LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "stem 7x7": (nn.Conv2d(3, 23, 7, 2, padding=3), (2, 3, 13, 37)),
    "stem 3x3": (nn.Conv2d(3, 40, 3, 2, padding=1), (1, 3, 9, 33)),
    "one channel": (nn.Conv2d(1, 17, (10, 4), 2, padding=(5, 1)), (1, 1, 21, 10)),
    "1x1 of 49 positions": (nn.Conv2d(40, 131, 1), (1, 40, 7, 7)),
    "1x1 of 1024 channels": (nn.Conv2d(1024, 33, 1), (1, 1024, 3, 5)),
    "1x1 of two images": (nn.Conv2d(23, 49, 1), (2, 23, 5, 4)),
    "large weights": (nn.Conv2d(130, 131, (3, 1), padding=1), (2, 130, 5, 4)),
    "stride 2": (nn.Conv2d(33, 23, (5, 3), 2, padding=1), (2, 33, 8, 9)),
    "groups": (nn.Conv2d(12, 20, 3, padding=1, groups=4), (2, 12, 5, 7)),
    "groups of two": (nn.Conv2d(26, 26, 3, 2, padding=1, groups=13), (2, 26, 7, 9)),
    "groups of four": (nn.Conv2d(44, 44, 3, padding=2, dilation=2, groups=11), (1, 44, 8, 10)),
    "groups of one and two": (nn.Conv2d(7, 14, (1, 5), padding=(0, 2), groups=7), (1, 7, 5, 11)),
    "depthwise": (nn.Conv2d(23, 23, 3, padding=1, groups=23), (2, 23, 7, 9)),
    "depthwise stride 2": (nn.Conv2d(40, 40, 3, 2, padding=1, groups=40), (1, 40, 11, 15)),
    "depthwise 5x5": (nn.Conv2d(17, 17, 5, padding=2, groups=17), (2, 17, 9, 8)),
    "depthwise dilated": (nn.Conv2d(7, 7, 3, padding=2, dilation=2, groups=7), (1, 7, 12, 9)),
    "depthwise in the padding": (nn.Conv2d(5, 5, 3, padding=3, groups=5), (1, 5, 2, 3)),
    "dense": (nn.Linear(37, 131), (1, 37)),
    "dense of few outputs": (nn.Linear(517, 3), (1, 517)),
    "dense of many rows": (nn.Linear(33, 23), (13, 33)),
}


class Product(nn.Module):
    """Rows times a matrix that is cut from them, or its transpose."""

    def __init__(self, batch: int, inner: int, columns: int, *, transposed: bool) -> None:
        super().__init__()
        self.transposed, self.shape = transposed, (batch, inner, columns)

    def forward(self, a: torch.Tensor) -> torch.Tensor:
        batch, inner, columns = self.shape
        other = a.reshape(batch, -1)[:, : inner * columns]
        if self.transposed:
            return a @ other.reshape(batch, columns, inner).transpose(-1, -2)
        return a @ other.reshape(batch, inner, columns)


LAYERS["product"] = (Product(2, 17, 7, transposed=False), (2, 13, 17))
LAYERS["product with a transpose"] = (Product(2, 17, 21, transposed=True), (2, 23, 17))
LAYERS["product of few rows"] = (Product(3, 9, 3, transposed=True), (3, 3, 9))


def _check(made: Mapping[str, Case], runs: Mapping[str, list[dict[str, Choice]]], target: Target) -> None:
    """Assert that each case agrees with PyTorch by each of its runs, a choice for every workload."""
    programs = {name: lowered(case) for name, case in made.items()}
    kernels: dict[str, list[dict[str, Kernel]]] = {
        name: [_kernels(programs[name], choices, target) for choices in runs[name]] for name in made
    }
    distinct = {kernel.symbol: kernel for many in kernels.values() for one in many for kernel in one.values()}
    module = compile_module(list(distinct.values()), target)
    for name, case in made.items():
        (wanted,) = expected(case)
        for one in kernels[name]:
            (found,) = run_compiled(programs[name], case.inputs, one, module)
            error = relative_error(found, wanted)
            assert error < TOLERANCE, f"{name} by {[str(kernel.choice) for kernel in one.values()]}: {error}"


def _kernels(program: Program, choices: Mapping[str, Choice], target: Target) -> dict[str, Kernel]:
    return {op.workload.key: generate(op.workload, target, choices[op.workload.key]) for op in program.ops}


def _cases() -> dict[str, Case]:
    return {name: Case(layer.eval(), (torch.randn(shape),)) for name, (layer, shape) in LAYERS.items()}


def _candidate_runs(case: Case, target: Target) -> list[dict[str, Choice]]:
    """As many runs as the operation with the most candidates has."""
    possible = {op.workload.key: candidates(op.workload, target) for op in lowered(case).ops}
    most = max(map(len, possible.values()))
    return [{key: found[min(index, len(found) - 1)] for key, found in possible.items()} for index in range(most)]


@every_target
def test_every_candidate_agrees_with_pytorch(target: Target) -> None:
    # Without wider vectors they are the same loops: every fourth layer.
    made = dict(list(_cases().items())[:: 4 if target.name == "x86_64" else 1])
    _check(made, {name: _candidate_runs(case, target) for name, case in made.items()}, target)


# Choices made at other widths and on other machines: too large for most of the layers, or too small.
FOREIGN = {
    "direct": (Choice.of("direct", positions=28, vectors=8), Choice.of("direct", positions=2, vectors=1, parts=3)),
    "depthwise": (
        Choice.of("depthwise", rows=4, positions=30, vectors=8, inside=1),
        Choice.of("depthwise", rows=3, positions=2, vectors=2, inside=0),
    ),
    "matmul": (Choice.of("matmul", rows=28, vectors=8), Choice.of("matmul", rows=1, vectors=1)),
}


@pytest.mark.parametrize("index", [0, 1])
def test_a_neighbours_choice_is_cut_to_what_fits(index: int) -> None:
    made = dict(list(_cases().items())[index::2])
    runs = {}
    for name, case in made.items():
        defaults = {op.workload.key: candidates(op.workload, AVX2)[-1] for op in lowered(case).ops}
        chosen = {key: FOREIGN.get(default.schedule, (default,) * 2)[index] for key, default in defaults.items()}
        runs[name] = [chosen]
    _check(made, runs, AVX2)


@pytest.mark.parametrize("name", ["x86_64-avx512", "x86_64-avx2", "x86_64", "aarch64", "armv7", "riscv64"])
def test_there_are_few_candidates_and_each_is_another_kernel(name: str) -> None:
    for case in _cases().values():
        for op in lowered(case).ops:
            found = candidates(op.workload, base_target(name))
            assert 1 <= len(found) <= 12
            assert len({str(choice) for choice in found}) == len(found)
