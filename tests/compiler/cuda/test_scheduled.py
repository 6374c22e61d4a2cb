"""GPU kernels as they are scheduled compute what PyTorch computes: their CUDA source, run by the processor."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from hwaware.compiler.choice import Variant
from hwaware.compiler.cuda.kernels import candidates, generate
from hwaware.compiler.kernel import Kernel
from hwaware.graph.lower import Program
from hwaware.graph.workload import Workload
from tests.compiler.cuda.emulated import HERE, emulated
from tests.compiler.cuda.layers import large, small
from tests.compiler.families import FAMILIES, program_of
from tests.compiler.inprocess import TOLERANCE, Case, expected, lowered, relative_error, run_compiled


def kernel_of(work: Workload, which: int) -> Kernel:
    """The kernel by the first or by the last of its candidates."""
    return generate(work, HERE, Variant(work, candidates(work)[which]).choice)


def errors(known: Mapping[str, tuple[Case, Program]], which: int, folder: Path) -> dict[str, list[float]]:
    """The relative errors of the outputs of each program that are beyond the tolerance."""
    works = {op.workload.key: op.workload for _, program in known.values() for op in program.ops}
    kernels = {key: kernel_of(work, which) for key, work in works.items()}
    found = {}
    with emulated(list(kernels.values()), folder) as module:
        for name, (case, program) in known.items():
            outputs = run_compiled(program, case.inputs, kernels, module)
            found[name] = [relative_error(a, b) for a, b in zip(outputs, expected(case), strict=True)]
    return {name: off for name, off in found.items() if not max(off) < TOLERANCE}


@pytest.mark.timeout(600)
def test_families_agree_with_pytorch(tmp_path: Path) -> None:
    """Every second one by the first candidates; all others are tried layer by layer."""
    assert errors({name: program_of(name, 1) for name in list(FAMILIES)[::2]}, 0, tmp_path) == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("which", [0, -1])
@pytest.mark.parametrize("layers", [small, large])
def test_layers_agree_with_pytorch(layers: Callable[[], dict[str, Case]], which: int, tmp_path: Path) -> None:
    assert errors({name: (case, lowered(case)) for name, case in layers().items()}, which, tmp_path) == {}
