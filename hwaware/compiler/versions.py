"""What made the code: versions that go into tables, artifacts and reports."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from hwaware.compiler.cuda.nvcc import nvcc_version
from hwaware.compiler.cuda.target import CudaTarget
from hwaware.compiler.targets import Target
from hwaware.compiler.toolchain import toolchain


def toolchain_identity(target: Target) -> dict[str, Any]:
    """Versions and target; two measurements compare only where these are equal. Raises BuildError without nvcc."""
    gpu = {"arch": target.arch, "nvcc": nvcc_version()} if isinstance(target, CudaTarget) else {}
    return {
        "hwaware": version("hwaware"),
        "tvm": version("apache-tvm"),
        "linker": toolchain(target).name,
        "target": target.name,
        "cpu": target.cpu,
        "features": ",".join(target.features),
        "lanes": target.lanes,
        **gpu,
    }
