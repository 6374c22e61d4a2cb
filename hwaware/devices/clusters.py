"""Clusters of like cores on one chip (big.LITTLE), and the one that a measurement keeps to.

The rule is the agent's (`device_agents/native/cpus.c`): a core belongs to the cluster whose first core is at most a
tenth faster, by the kernel's capacity or else by its highest frequency.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from hwaware.devices.facts import Cpu, DeviceFacts
from hwaware.errors import DeviceError

EACH = "each"
_SAME_CLUSTER = 0.9
_LIST = re.compile(r"[0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*")
_MOST_CPU = 8191


@dataclass(frozen=True)
class Cluster:
    """Like cores: `name` is `all` where there are no others, else from `big` to `little`; `cpus` are online."""

    name: str
    core: str
    max_khz: int | None
    cpus: tuple[int, ...]

    @property
    def text(self) -> str:
        """`4 × Cortex-A76 up to 2400 MHz, cpus 4-7`."""
        speed = f" up to {self.max_khz / 1000:.0f} MHz" if self.max_khz else ""
        return f"{len(self.cpus)} × {self.core}{speed}, {cpu_list(self.cpus)}"


@dataclass(frozen=True)
class Cores:
    """The cores that a measurement keeps to.

    `name` goes into a table's and a report's identity; it is None, and so are the agent's options empty, for those
    that the agent takes by itself: the fastest cluster that has as many cores as there are threads.
    """

    name: str | None = None
    cpus: tuple[int, ...] = ()

    def arguments(self) -> list[str]:
        """The agent's options."""
        return ["--cpu", ",".join(map(str, self.cpus))] if self.cpus else []

    def conditions(self) -> dict[str, str | None]:
        """What a table or a report says of it."""
        return {"cores": self.name}


FASTEST = Cores()


def clusters(facts: DeviceFacts) -> list[Cluster]:
    """The device's clusters of cores that are online, fastest first."""
    online = sorted((cpu for cpu in facts.cpus if cpu.online), key=lambda cpu: (-_speed(cpu), cpu.id))
    groups: list[list[Cpu]] = []
    for cpu in online:
        if groups and _speed(cpu) >= _SAME_CLUSTER * _speed(groups[-1][0]):
            groups[-1].append(cpu)
        else:
            groups.append([cpu])
    return [_cluster(name, group, facts) for name, group in zip(_names(len(groups)), groups, strict=True)]


def chosen_cores(facts: DeviceFacts, wanted: str | None, threads: int, where: str) -> Cores:
    """The cores that a user `wanted`: a cluster's name, the name of its core, or a list of cpus such as ``0-3,6``.

    Raises DeviceError where there are none such on the device, named `where`, or fewer than `threads`.
    """
    if wanted is None:
        return FASTEST
    found = clusters(facts)
    if _LIST.fullmatch(wanted):
        return _listed(found, wanted, threads, where)
    word = wanted.lower()
    fitting = [one for one in found if word in (one.name, one.core.lower())]
    if len(fitting) != 1:
        there = "; ".join(f"{one.name}: {one.text}" for one in found)
        raise DeviceError(f"device {where} has no cluster of cores {wanted!r}: choose one of {there}")
    _check_enough(fitting[0].cpus, threads, f"the {fitting[0].name} cores of device {where}")
    return _cores(found, fitting[0], threads)


def every_cores(facts: DeviceFacts, threads: int, where: str) -> dict[str, Cores]:
    """The cores of each cluster that has as many as there are `threads`, by the cluster's name."""
    found = clusters(facts)
    fitting = {one.name: _cores(found, one, threads) for one in found if len(one.cpus) >= threads}
    if not fitting:
        raise DeviceError(f"device {where} has no cluster of {threads} cores: use fewer --threads")
    return fitting


def cpu_list(ids: Sequence[int]) -> str:
    """`cpus 0-3,6`."""
    runs = [list(run) for _, run in groupby(enumerate(sorted(ids)), key=lambda pair: pair[1] - pair[0])]
    ranges = [f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else str(run[0][1]) for run in runs]
    return f"{'cpu' if len(ids) == 1 else 'cpus'} {','.join(ranges)}"


def _speed(cpu: Cpu) -> int:
    speed = cpu.capacity if cpu.capacity is not None else cpu.max_khz
    return speed or 0


def _cluster(name: str, group: Sequence[Cpu], facts: DeviceFacts) -> Cluster:
    first = group[0]
    core = first.core or first.part or facts.cpu_model or facts.cpu_part or "core"
    return Cluster(name, core, first.max_khz, tuple(sorted(cpu.id for cpu in group)))


def _names(count: int) -> list[str]:
    """Names of `count` clusters, fastest first."""
    if count <= 1:
        return ["all"][:count]
    middle = ["middle"] if count == 3 else [f"middle{number}" for number in range(1, count - 1)]
    return ["big", *middle, "little"]


def _cores(found: Sequence[Cluster], chosen: Cluster, threads: int) -> Cores:
    """FASTEST if the agent would choose the same by itself, so that both ways of asking make the same table."""
    if next(one for one in found if len(one.cpus) >= threads) is chosen:
        return FASTEST
    return Cores(chosen.name, chosen.cpus)


def _listed(found: Sequence[Cluster], wanted: str, threads: int, where: str) -> Cores:
    ids: list[int] = []
    for part in wanted.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low > high or high > _MOST_CPU:
            raise DeviceError(f"{wanted!r} is no list of cpus: write one like 0-3,6")
        ids += range(low, high + 1)
    online = {cpu for one in found for cpu in one.cpus}
    missing = sorted(set(ids) - online)
    if missing or len(set(ids)) < len(ids):
        what = f"{cpu_list(missing)} of {wanted!r} not online" if missing else f"a cpu twice in {wanted!r}"
        raise DeviceError(f"device {where}: {what}; it has {cpu_list(sorted(online))}")
    _check_enough(ids, threads, f"{wanted!r}")
    for one in found:
        if set(ids) == set(one.cpus):
            return _cores(found, one, threads)
    return Cores(cpu_list(ids), tuple(ids))


def _check_enough(cpus: Sequence[int], threads: int, what: str) -> None:
    if len(cpus) < threads:
        raise DeviceError(f"{threads} threads asked, but {what} are {len(cpus)}: use fewer --threads or other --cores")
