"""The target of a GPU is its architecture and the processor beside it, and can be restored from a file."""

from __future__ import annotations

import pytest

from hwaware.compiler.cuda.target import cuda_target, restored_cuda_target
from hwaware.compiler.target import CPU, GPU
from hwaware.compiler.targets import base_target, restored_target, unit_of
from hwaware.errors import BuildError
from tests.compiler.cuda.boards import ORIN


def test_the_target_of_an_orin() -> None:
    assert (ORIN.name, ORIN.arch, ORIN.triple) == ("aarch64-a76+sm_87", "sm_87", "aarch64-linux-gnu")
    described = ORIN.cuda()
    assert (described["kind"], described["arch"]) == ("cuda", "sm_87")
    assert described["host"]["mtriple"] == "aarch64-linux-gnu"


@pytest.mark.parametrize("capability", ["7.5", "8.6", "8.7", "9.0", "10.1", "12.0"])
def test_targets_are_restored(capability: str) -> None:
    target = cuda_target(base_target("aarch64-a76"), capability)
    assert restored_cuda_target(target.identity()) == target


@pytest.mark.parametrize("capability", ["", "8", "sm_87", "8.7.1", "8.77", "-1.0", "8.7 "])
def test_nonsense_is_no_capability(capability: str) -> None:
    with pytest.raises(BuildError, match="no compute capability"):
        cuda_target(base_target("aarch64"), capability)


@pytest.mark.parametrize("arch", [None, "sm_", "sm_8.7", "compute_87", "sm_87; rm"])
def test_a_damaged_identity_is_refused(arch: object) -> None:
    with pytest.raises(BuildError, match="no GPU architecture"):
        restored_cuda_target({**ORIN.identity(), "arch": arch})


def test_the_gpu_is_restored_from_a_table() -> None:
    assert restored_target(ORIN.identity()) == ORIN
    assert (unit_of(ORIN.identity()), ORIN.unit) == (GPU, GPU)
    host = base_target("aarch64-a76")
    assert restored_target(host.identity()) == host
    assert (unit_of(host.identity()), host.unit) == (CPU, CPU)
