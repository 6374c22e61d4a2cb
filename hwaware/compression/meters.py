"""What one operation costs, by several meters: measured latency and bytes, and the counts that papers use instead.

A meter that is a sum over operations maps a workload to a number. Gordon et al. 2018 (arXiv:1711.06798, section 3)
count FLOPs, weights or activations; the roofline is Williams et al. 2009 with both bounds taken from the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hwaware.graph.arithmetic import activation_bytes, multiply_adds, weight_bytes
from hwaware.graph.workload import Workload

LATENCY, MEMORY, SIZE = "latency", "memory", "size"
FLOPS, ACTIVATIONS, ROOFLINE = "flops", "activations", "roofline"
METERS = (LATENCY, MEMORY, SIZE, FLOPS, ACTIVATIONS, ROOFLINE)
Meter = Callable[[Workload], float]


def flops(workload: Workload) -> float:
    """Floating-point operations: two a multiply-add; what only moves or activates data has none."""
    return 2.0 * multiply_adds(workload)


def activations(workload: Workload) -> float:
    """Elements that operations with weights write."""
    return float(math.prod(workload.output.shape)) if weight_bytes(workload) else 0.0


@dataclass(frozen=True)
class Roof:
    """The most a machine was seen to do: FLOP and bytes a millisecond."""

    flops: float
    bytes: float

    @classmethod
    def seen(cls, measured: Iterable[tuple[Workload, float]]) -> Roof:
        """The best of some operations with their milliseconds."""
        known = [(flops(work), traffic(work), ms) for work, ms in measured if ms > 0]
        return cls(
            max((count / ms for count, _, ms in known), default=0.0) or 1.0,
            max((moved / ms for _, moved, ms in known), default=0.0) or 1.0,
        )

    def latency(self, workload: Workload) -> float:
        """Milliseconds below which no machine with this roof gets: those of the bound that dominates."""
        return max(flops(workload) / self.flops, traffic(workload) / self.bytes)


def traffic(workload: Workload) -> float:
    """Bytes that must move at least: activations in and out, and weights as float32."""
    return float(activation_bytes(workload) + weight_bytes(workload))
