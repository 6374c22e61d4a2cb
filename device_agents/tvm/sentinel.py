"""A fixed piece of work, whose time follows the clock and whoever else computes there."""

from __future__ import annotations

import hashlib
import statistics
import time
from typing import Protocol

from device_agents.tvm.abi import Calls
from device_agents.tvm.unit import Moments

_RUNS = 3
# About half a millisecond on a small core, in a library written in C or assembly.
_HASHED = bytes(1 << 18)
_GLANCE = 4


class Sentinel(Protocol):
    """Nanoseconds of the work."""

    def run(self) -> float:
        """The median of some runs."""

    def glance(self) -> float:
        """A quicker look, told as if all the work had been done."""


class HostSentinel:
    """A hash of a constant, on the calling thread."""

    def run(self) -> float:
        """The median of some runs."""
        return statistics.median(_hash(_HASHED) for _ in range(_RUNS))

    def glance(self) -> float:
        """A part of it."""
        return _hash(_HASHED[: len(_HASHED) // _GLANCE]) * _GLANCE


class GpuSentinel:
    """A kernel of the library, by the GPU's own clock."""

    def __init__(self, calls: Calls, moments: Moments) -> None:
        self._calls, self._moments = calls, moments

    def run(self) -> float:
        """The median of some runs."""
        return statistics.median(self.glance() for _ in range(_RUNS))

    def glance(self) -> float:
        """One run."""
        self._calls.run(between=self._moments)
        return self._moments.gaps_ns()[0]


def _hash(content: bytes) -> float:
    start = time.monotonic_ns()
    hashlib.sha256(content).digest()
    return float(time.monotonic_ns() - start)


def members(before: float, after: float) -> dict[str, object]:
    """The sentinel's members of a line; this agent does not time how soon threads meet."""
    return {
        "sentinel_before_ns": max(1, round(before)),
        "sentinel_after_ns": max(1, round(after)),
        "meeting_before_ns": None,
        "meeting_after_ns": None,
    }
