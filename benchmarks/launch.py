"""What a parallel loop costs before it does anything: launch and join of the agent's thread pool.

    python -m benchmarks.launch

prints medians for one thread and two, with launches back to back and after the caller worked alone for a while. The
bar is 5 µs at two threads while workers are awake; after 200 µs without work they park, and a launch wakes them through
the kernel.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from device_agents import NATIVE

_SOURCES = ("pool.c", "cpus.c", "sysfs.c", "runtime.c", "error.c")
_ROUNDS = 5
# The caller's own work between two launches, in ns, and how many launches are timed in a round.
_GAPS = ((0, 20000), (2000, 20000), (20000, 5000), (500000, 200))
_BAR_US = 5.0


@dataclass(frozen=True)
class Launch:
    """Times of launches on `threads` threads, `gap_us` after the one before, in µs."""

    threads: int
    gap_us: float
    median_us: float
    p90_us: float

    def __str__(self) -> str:
        return f"{self.threads:7d} {self.gap_us:7.0f} {self.median_us:10.2f} {self.p90_us:10.2f}"


def build(folder: Path) -> Path:
    """The timing program, compiled like the agent."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise SystemExit("benchmarks.launch needs a C compiler: apt-get install gcc libc6-dev")
    executable = folder / "launch"
    sources = [Path(__file__).with_suffix(".c"), *(NATIVE / name for name in _SOURCES)]
    command = [compiler, "-std=gnu11", "-Os", "-static", "-I", str(NATIVE), "-o", str(executable)]
    subprocess.run([*command, *map(str, sources), "-lpthread"], check=True)
    return executable


def measure(executable: Path, cpus: Sequence[int], gap_ns: int, launches: int) -> np.ndarray:
    """Time of each launch in µs."""
    command = [str(executable), ",".join(map(str, cpus)), str(launches), str(gap_ns)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return np.array(done.stdout.split(), dtype=np.float64) / 1000


def main() -> None:
    """Measure on the first cpu and the first two, the cases in turn, and print a table."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as folder:
        executable = build(Path(folder))
        cases = [(threads, *gap) for gap in _GAPS for threads in range(1, len(cpus) + 1)]
        rounds = [
            [measure(executable, cpus[:threads], gap, launches) for threads, gap, launches in cases]
            for _ in range(_ROUNDS)
        ]
    print("threads  gap µs  median µs     p90 µs")
    for index, (threads, gap, _) in enumerate(cases):
        times = np.concatenate([taken[index] for taken in rounds])
        print(Launch(threads, gap / 1000, float(np.median(times)), float(np.percentile(times, 90))))
    print(f"bar: {_BAR_US} µs at two threads")


if __name__ == "__main__":
    main()
