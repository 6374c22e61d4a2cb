"""What a test needs from the machine. Under CI (`HWAWARE_NO_SKIP=1`) an absent tool is a failure, not a skip."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def need(tool: str, *, package: str) -> str:
    """Path of `tool`; without it skip, or fail where no test may skip. `package` is the Debian package."""
    found = shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        _absent(f"{tool} is not installed: apt-get install {package}")
    return str(found)


def need_path(path: Path, *, why: str) -> Path:
    """`path` if it exists; otherwise skip, or fail where no test may skip."""
    if not path.exists():
        _absent(f"{path.name} is absent: {why}")
    return path


def need_cpus(count: int) -> None:
    """This process may use `count` CPUs; otherwise skip, or fail where no test may skip."""
    if len(os.sched_getaffinity(0)) < count:
        _absent(f"fewer than {count} CPUs may be used here")


def _absent(reason: str) -> None:
    if os.environ.get("HWAWARE_NO_SKIP") == "1":
        pytest.fail(reason)
    raise pytest.skip.Exception(reason)
