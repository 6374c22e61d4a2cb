"""How little the agent is: its file for each board, and what it keeps resident beside a kernel's own buffers."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from hwaware.compiler.bundle import build_bundle
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import Target, base_target, host_machine, plain_target
from hwaware.graph.ir import Spec
from hwaware.graph.workload import Workload

pytestmark = pytest.mark.timeout(600)  # the first use of a target builds its C library
DENSE = Workload("dense", (Spec((1, 256), "float32"),), Spec((1, 512), "float32"))
BUFFERS = 4 * (256 + 512 + 256 * 512 + 512)
MOST_FILE, MOST_RESIDENT = 200 << 10, 2 << 20


def bundle_for(target: Target, folder: Path) -> Path:
    return build_bundle([variant(DENSE, target)], target, folder / "bundle")


@pytest.mark.parametrize("name", ["aarch64", "armv7"])
def test_the_file_with_one_kernel(name: str, tmp_path: Path) -> None:
    assert bundle_for(base_target(name), tmp_path).stat().st_size <= MOST_FILE


def test_what_stays_resident(tmp_path: Path) -> None:
    bundle = bundle_for(plain_target(host_machine()), tmp_path)
    words = [str(bundle), "bench", "--min-time-ms", "1000", "--max-count", "400", "--displace-kb", "0"]
    most = 0
    with subprocess.Popen(words, stdout=subprocess.DEVNULL) as agent:
        while agent.poll() is None:
            most = max(most, resident(agent.pid))
            time.sleep(0.01)
        assert agent.returncode == 0
    assert most > BUFFERS
    assert most - BUFFERS <= MOST_RESIDENT


def resident(pid: int) -> int:
    """Bytes that the process and its children hold, pages that they share counted once each."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, children)):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) << 10
    except (FileNotFoundError, ProcessLookupError, StopIteration):
        return 0
    return total
