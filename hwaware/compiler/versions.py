"""What made the code: versions that go into tables, artifacts and reports."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from hwaware.compiler.link import toolchain
from hwaware.compiler.targets import Target


def toolchain_identity(target: Target) -> dict[str, Any]:
    """Versions and target; two measurements compare only where these are equal."""
    return {
        "hwaware": version("hwaware"),
        "tvm": version("apache-tvm"),
        "linker": toolchain(target).name,
        "target": target.name,
        "cpu": target.cpu,
        "features": ",".join(target.features),
        "lanes": target.lanes,
    }
