"""Programs measured on this machine, in turn: a few at a time along with one that all times are relative to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median

from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.devices.measuring import measuring_modes
from hwaware.graph.lower import Program
from hwaware.profiling.calm import Witness
from hwaware.profiling.target import target_of
from hwaware.profiling.whole import WholeBench

AT_ONCE, WHOLE = 6, "whole"
_LEASE_WAIT_S = 60.0


def measured(
    programs: Mapping[str, Program], whole: Program, table: CostTable, tell: Callable[[str], None]
) -> tuple[dict[str, float], float]:
    """Milliseconds of each program and of `whole`, compiled with the schedules of `table`.

    Every turn measures `whole` again; a program's time is scaled by how that compares with its median over turns.
    Raises BuildError, DeviceError.
    """
    names = list(programs)
    found: dict[str, tuple[float, float]] = {}
    with (
        open_device("local") as device,
        measuring_modes(device, fixed=True, on_wait=tell) as modes,
        device.transport.lease(_LEASE_WAIT_S, tell),
    ):
        for start in range(0, len(names), AT_ONCE):
            turn = {name: programs[name] for name in names[start : start + AT_ONCE]}
            bench = WholeBench(
                device, target_of(device), table.manifest.threads, "pinned", table.choices, Witness(), modes=modes
            )
            runs = {run.name: run.latency_ns / 1e6 for run in bench.measure({WHOLE: whole, **turn}, seed=start)}
            found |= {name: (runs[name], runs[WHOLE]) for name in turn}
            tell(f"measured {len(found)} of {len(names)}")
    base = median(reference for _, reference in found.values())
    return {name: ms * base / reference for name, (ms, reference) in found.items()}, base
