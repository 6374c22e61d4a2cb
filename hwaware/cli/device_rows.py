"""What `hwaware devices show` prints of a device: facts in units for people, cores by cluster."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from hwaware.devices.clusters import clusters, cpu_list

if TYPE_CHECKING:
    from hwaware.devices.facts import Cpu, DeviceFacts
    from hwaware.devices.gpu import Gpu

Row = tuple[str, str]

_UNKNOWN = "unknown"
# What later precisions would use, by the kernel's names for it.
_ARITHMETIC = {
    "fp16": ("asimdhp", "avx512_fp16"),
    "bf16": ("bf16", "avx512_bf16"),
    "int8 dot products": ("asimddp", "avx_vnni", "avx512_vnni"),
    "int8 matrices": ("i8mm", "amx_int8"),
    "SVE": ("sve",),
    "SVE2": ("sve2",),
}


def fact_rows(facts: DeviceFacts) -> list[Row]:
    """Label and text of each line, most general first."""
    caches = sorted({(cache.level, cache.type, cache.bytes) for cache in facts.caches})
    arithmetic = [name for name, words in _ARITHMETIC.items() if not set(words).isdisjoint(facts.features)]
    rows: list[tuple[str, str | None]] = [
        ("machine", facts.machine_model or _UNKNOWN),
        ("SoC", facts.soc),
        ("system", f"{facts.os or _UNKNOWN}, kernel {facts.kernel}"),
        ("processor", f"{facts.cpu_model or facts.cpu_part or _UNKNOWN} ({facts.arch})"),
        *(("cores" if first else "", line) for first, line in _marked(cluster_lines(facts))),
        ("frequency", "; ".join(_frequencies(facts.cpus)) or _UNKNOWN),
        ("governor", ", ".join(sorted({cpu.governor for cpu in facts.cpus if cpu.governor})) or _UNKNOWN),
        ("power mode", facts.power_mode),
        ("GPU", None if facts.gpu is None else gpu_line(facts.gpu)),
        ("features", " ".join(facts.features) or _UNKNOWN),
        ("arithmetic", ", ".join(arithmetic) or None),
        ("caches", ", ".join(f"L{level} {kind} {size >> 10} KiB" for level, kind, size in caches) or _UNKNOWN),
        ("memory", f"{facts.memory_bytes / (1 << 30):.1f} GiB, pages of {facts.page_bytes} bytes"),
        ("load", f"{facts.load1:.2f}"),
        ("temperature", ", ".join(f"{z.type} {z.milli_c / 1000:.0f} °C" for z in facts.thermal) or _UNKNOWN),
        ("emulated", "yes: times mean nothing" if facts.emulated else None),
        ("fingerprint", facts.fingerprint()["sha256"][:16]),
    ]
    return [(label, text) for label, text in rows if text is not None]


def gpu_line(gpu: Gpu) -> str:
    """`Orin, compute capability 8.7, 8 multiprocessors up to 918 MHz, 15.3 GiB shared with the processor`."""
    speed = f" up to {gpu.max_khz / 1000:.0f} MHz" if gpu.max_khz else ""
    memory = f"{gpu.memory_bytes / (1 << 30):.1f} GiB{' shared with the processor' if gpu.integrated else ''}"
    return (
        f"{gpu.name}, compute capability {gpu.compute_capability}, {gpu.multiprocessors} multiprocessors{speed}, "
        f"{memory}, driver {gpu.driver}"
    )


def cluster_lines(facts: DeviceFacts) -> list[str]:
    """A line for the cores of each kind, with the word that `--cores` knows them by where there are several.

    `big: 4 × Cortex-A76 up to 2400 MHz, cpus 4-7`.
    """
    names = {cpu: "" if one.name == "all" else f"{one.name}: " for one in clusters(facts) for cpu in one.cpus}
    online = sorted((cpu for cpu in facts.cpus if cpu.online), key=lambda cpu: (*_kind(cpu, facts), cpu.id))
    kinds = [list(cpus) for _, cpus in groupby(online, key=lambda cpu: _kind(cpu, facts))]
    lines = []
    for kind in sorted(kinds, key=lambda cpus: cpus[0].id):
        core, most, _ = _kind(kind[0], facts)
        speed = f" up to {most / 1000:.0f} MHz" if most else ""
        lines.append(f"{names[kind[0].id]}{len(kind)} × {core}{speed}, {_cpus(kind)}")
    offline = [cpu for cpu in facts.cpus if not cpu.online]
    if offline:
        lines.append(f"{len(offline)} offline, {_cpus(offline)}")
    return lines


def _kind(cpu: Cpu, facts: DeviceFacts) -> tuple[str, int, int]:
    """What cores of one cluster have in common: name, highest kHz, capacity."""
    return cpu.core or cpu.part or facts.cpu_model or "core", cpu.max_khz or 0, cpu.capacity or 0


def _cpus(cpus: Iterable[Cpu]) -> str:
    return cpu_list([cpu.id for cpu in cpus])


def _marked(lines: Sequence[str]) -> Iterator[tuple[bool, str]]:
    for index, line in enumerate(lines):
        yield index == 0, line


def _frequencies(cpus: Iterable[Cpu]) -> Iterator[str]:
    """Of each group of cpus with the same limits: what it runs at now, and the limits."""
    known = [cpu for cpu in cpus if cpu.cur_khz is not None]
    groups: dict[tuple[int | None, int | None], list[Cpu]] = {}
    for cpu in known:
        groups.setdefault((cpu.scaling_min_khz, cpu.scaling_max_khz), []).append(cpu)
    for (low, high), group in groups.items():
        now = sorted({(cpu.cur_khz or 0) // 1000 for cpu in group})
        span = f"{now[0]} MHz" if len(now) == 1 else f"{now[0]} to {now[-1]} MHz"
        limits = f" within {low // 1000} to {high // 1000} MHz" if low is not None and high is not None else ""
        yield f"{_cpus(group)} at {span}{limits}"
