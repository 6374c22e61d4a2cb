"""The board the tests compile for, what they compile, and what of the CUDA toolkit they need."""

from __future__ import annotations

from hwaware.compiler.cuda.nvcc import find_nvcc
from hwaware.compiler.cuda.target import cuda_target
from hwaware.compiler.targets import base_target
from hwaware.errors import BuildError
from hwaware.graph.workload import Workload
from tests.compiler.families import program_of
from tests.requirements import need

# A Jetson Orin.
ORIN = cuda_target(base_target("aarch64-a76"), "8.7")
# Between them all kinds of workloads, with and without pitches, groups, padding, and every kind of operand.
NETS = ("residual", "inverted", "unet", "split", "inception", "encoder", "attention", "mobile_v3", "resnext", "tokens")


def workloads() -> list[Workload]:
    """Of these nets, each once."""
    return list(dict.fromkeys(op.workload for name in NETS for op in program_of(name, 1)[1].ops))


def need_nvcc() -> None:
    """A CUDA toolkit; without it skip, or fail where no test may skip."""
    try:
        find_nvcc()
    except BuildError:
        need("nvcc", package="nvidia-cuda-toolkit")
