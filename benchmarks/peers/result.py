"""What the comparison of one model at one number of threads gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwaware.statistics import Ratio

# Largest difference of an output from PyTorch's, relative to the output's largest value.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class PeerResult:
    """One peer in one row; all but `name` and `reason` are None where it could not run. Bytes, milliseconds."""

    name: str
    reason: str | None = None  # why it has no figures, or why they do not count
    setting: str | None = None
    ms: float | None = None  # median of a call
    times_faster: Ratio | None = None  # its median over ours, with a 95 % interval
    call_ms: float | None = None  # median of a call of a model with next to no work: the binding and the session
    output_error: float | None = None
    memory_before: int | None = None  # resident with Python, NumPy and the runtime imported, nothing loaded
    peak_load: int | None = None  # most resident while loading and in the first inference, less `memory_before`
    peak_run: int | None = None  # most resident in all later inferences, less `memory_before`

    @property
    def counts(self) -> bool:
        """Whether it ran the model and its outputs agree."""
        return self.reason is None and self.ms is not None


@dataclass(frozen=True)
class Row:
    """One model at one number of threads."""

    model: str
    threads: int
    ours_ms: float
    ours_error: float
    ours_peak: int | None  # bytes; the agent's VmHWM less what was resident before its memory was allocated
    peers: tuple[PeerResult, ...]

    @property
    def best(self) -> PeerResult | None:
        """The fastest peer."""
        return min((p for p in self.peers if p.counts), key=lambda p: p.ms or math.inf, default=None)

    @property
    def least_memory(self) -> PeerResult | None:
        """The peer with the lowest peak while running."""
        counted = [p for p in self.peers if p.counts and p.peak_run is not None]
        return min(counted, key=lambda p: p.peak_run or 0, default=None)

    @property
    def agrees(self) -> bool:
        """Whether our outputs are PyTorch's."""
        return self.ours_error <= TOLERANCE


def geometric_mean(rows: Sequence[Row]) -> float | None:
    """Of the rows' ratios against their best peers; None without any."""
    ratios = [row.best.times_faster.value for row in rows if row.best is not None and row.best.times_faster is not None]
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None
