"""Which CPUs the agent's threads may run on: as `native/cpus.c`, those of the fastest cluster that has enough."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from device_agents.tvm.faults import Fault
from device_agents.tvm.sensors import Sensors

# CPUs within this share of a cluster's first one belong to it: favoured cores clock a little higher than the rest.
_SAME_CLUSTER = 0.9


@dataclass(frozen=True)
class Cpus:
    """The CPUs in question; `pinned` if the process stays on them."""

    ids: tuple[int, ...]
    pinned: bool

    @property
    def first(self) -> int | None:
        """The one whose clock counts; none where threads go where the kernel puts them."""
        return self.ids[0] if self.pinned else None

    def pin(self) -> None:
        """Keep this process, and the threads it will start, on them."""
        if self.pinned:
            os.sched_setaffinity(0, self.ids)

    def members(self) -> dict[str, object]:
        """``pinned`` and ``cpus`` of a line."""
        return {"pinned": self.pinned, "cpus": list(self.ids)}


def choose(sensors: Sensors, wanted: str | None, threads: int, *, loose: bool) -> Cpus:
    """CPUs for `threads`: the first of the list `wanted` (``0-3,6``), or of a cluster. Raises Fault."""
    allowed = sorted(os.sched_getaffinity(0))
    if threads > len(allowed):
        raise Fault(f"{threads} threads asked, but this process may use {len(allowed)} cpus")
    if loose:
        return Cpus(tuple(allowed), False)
    if wanted is not None:
        listed = _parse(wanted)
        missing = [cpu for cpu in listed if cpu not in allowed]
        if missing or len(listed) < threads:
            why = f"this process may not use cpu {missing[0]}" if missing else f"it names fewer than {threads} cpus"
            raise Fault(f"--cpu {wanted[:40]}: {why}")
        return Cpus(tuple(listed[:threads]), True)
    return Cpus(tuple(_cluster(sensors, allowed, threads)), True)


def _parse(text: str) -> list[int]:
    cpus: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise Fault(f"--cpu {text[:40]} is no list such as 0-3,6")
        cpus += range(int(first), int(last if dash else first) + 1)
    if len(set(cpus)) != len(cpus):
        raise Fault(f"--cpu {text[:40]} names a cpu twice")
    return cpus


def _cluster(sensors: Sensors, allowed: Sequence[int], threads: int) -> list[int]:
    """The first `threads` of the fastest cluster that has so many; of all, where none has."""
    speeds = {cpu: _speed(sensors, cpu) for cpu in allowed}
    left = sorted(allowed, key=lambda cpu: (-speeds[cpu], cpu))
    while left:
        fastest = speeds[left[0]]
        cluster = [cpu for cpu in left if speeds[cpu] >= fastest * _SAME_CLUSTER]
        if len(cluster) >= threads:
            return sorted(cluster)[:threads]
        left = left[len(cluster) :]
    return list(allowed[:threads])


def _speed(sensors: Sensors, cpu: int) -> int:
    """The kernel's own measure of a CPU, else its highest frequency; 0: all are alike."""
    return sensors.cpu(cpu, "cpu_capacity") or sensors.cpu(cpu, "cpufreq/cpuinfo_max_freq") or 0
