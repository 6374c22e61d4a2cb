"""Under what a profile is made: how its cells are timed, and what a table says of that."""

from __future__ import annotations

import math
from dataclasses import asdict
from datetime import UTC, datetime

from hwaware.compiler.assemble import program_memory
from hwaware.compiler.targets import Target
from hwaware.compiler.versions import toolchain_identity
from hwaware.costs.manifest import Manifest
from hwaware.devices.clusters import Cores, chosen_cores
from hwaware.devices.device import Device
from hwaware.errors import DeviceError
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.profiling.bench import Bench, Effort
from hwaware.profiling.conditions import device_conditions
from hwaware.profiling.target import device_facts

PROTOCOLS = ("pinned", "as-shipped")


def effort_for(graph: Graph, target: Target, protocol: str) -> Effort:
    """How long to measure a cell of `graph`, and how much memory its model touches between two of its calls.

    Weights and arena, rounded up to the next of four steps an octave.
    """
    footprint = sum(program_memory(lower(graph), target).values()) / 1024
    displace = math.ceil(2 ** (math.ceil(4 * math.log2(max(1.0, footprint))) / 4))
    if protocol == "as-shipped":
        return Effort(displace, min_count=1024, max_count=4096, pinned=False)
    return Effort(displace)


def cores_of(device: Device, wanted: str | None, threads: int, protocol: str) -> Cores:
    """The cores that were `wanted`, as `devices.clusters.chosen_cores`. Raises DeviceError."""
    if wanted is not None and protocol != "pinned":
        raise DeviceError(f"protocol {protocol} leaves threads to the system: leave --cores out, or use pinned")
    return chosen_cores(device_facts(device), wanted, threads, device.name)


def manifest_for(bench: Bench, protocol: str, name: str) -> Manifest:
    """The manifest of a table that is begun for model `name`."""
    device, target = bench.device, bench.target
    facts = device_facts(device)
    # How much is displaced belongs to a cell: models of any size share a table.
    rule = {key: value for key, value in asdict(bench.effort).items() if key != "displace_kb"}
    return Manifest(
        device=device.name,
        fingerprint=facts.fingerprint(),
        facts=facts.as_dict(),
        toolchain=toolchain_identity(target),
        target=target.identity(),
        threads=bench.threads,
        protocol=protocol,
        rule=rule,
        conditions=device_conditions(facts, cores=bench.cores, modes=bench.modes.conditions),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        models=(name,),
        emulated=facts.emulated,
        notes=("measured under an emulator: no times of a real device",) if facts.emulated else (),
    )
