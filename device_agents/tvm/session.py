"""Kernels loaded and ready to be called, in a process of their own."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from device_agents.tvm import runtime
from device_agents.tvm.abi import Bound, Calls
from device_agents.tvm.cpus import Cpus
from device_agents.tvm.cuda_unit import CudaUnit
from device_agents.tvm.faults import Fault
from device_agents.tvm.host_unit import HostUnit
from device_agents.tvm.options import Options
from device_agents.tvm.payload import Payload
from device_agents.tvm.sensors import Sensors
from device_agents.tvm.sentinel import GpuSentinel, HostSentinel, Sentinel
from device_agents.tvm.tables import Tables
from device_agents.tvm.unit import Moments, Unit

_CLOCK_LOOKS = 100


@dataclass(frozen=True)
class Session:
    """What measuring needs. `overhead_ns` is what two marked moments take by themselves."""

    options: Options
    tables: Tables
    payload: Payload
    cpus: Cpus
    sensors: Sensors
    library: ctypes.CDLL
    unit: Unit
    sentinel: Sentinel
    overhead_ns: float
    unified: bool

    def calls(self, calls: list[tuple[str, list[Bound]]]) -> Calls:
        """Calls of this library's kernels."""
        return Calls(self.library, calls)

    def between_ns(self, moments: Moments) -> float:
        """Nanoseconds between two marked moments, but for what marking them takes; at least one."""
        return max(1.0, moments.gaps_ns()[0] - self.overhead_ns)


def open_session(options: Options, tables: Tables, payload: Payload, cpus: Cpus) -> Session:
    """Load TVM's runtime and the kernels. Raises Fault, saying what is missing."""
    if tables.gpu and options.threads != 1:
        raise Fault(f"{options.threads} threads asked, but one thread drives the GPU: use --threads 1")
    cpus.pin()
    sensors = Sensors(options.sysfs)
    runtime.prepare(gpu=tables.gpu, threads=options.threads)
    gpu = CudaUnit() if tables.gpu else None
    if gpu is not None:
        _check(tables, gpu)
    with payload.library() as path:
        library = runtime.load(path)
    unit: Unit = gpu or HostUnit(library, sensors)
    return Session(
        options=options,
        tables=tables,
        payload=payload,
        cpus=cpus,
        sensors=sensors,
        library=library,
        unit=unit,
        sentinel=_sentinel(tables, library, unit),
        overhead_ns=_overhead(library, unit),
        unified=gpu is None or gpu.gpu.integrated,
    )


def _check(tables: Tables, unit: CudaUnit) -> None:
    """Code runs on its own architecture and on later ones, which translate it when it is loaded."""
    own = int(unit.gpu.compute_capability.replace(".", ""))
    needed = int((tables.arch or "sm_0").removeprefix("sm_"))
    if own < needed:
        raise Fault(
            f"the kernels are for {tables.arch}, the GPU ({unit.gpu.name}) is sm_{own}: compile them for this device"
        )


def _sentinel(tables: Tables, library: ctypes.CDLL, unit: Unit) -> Sentinel:
    if tables.sentinel is None:
        return HostSentinel()
    shape = (tables.sentinel.elements,)
    output = Bound(unit.allocate(4 * tables.sentinel.elements), "float32", shape, unit.device_type)
    sentinel = GpuSentinel(Calls(library, [(tables.sentinel.symbol, [output])]), unit.moments(2))
    sentinel.run()  # the first call loads the device code
    return sentinel


def _overhead(library: ctypes.CDLL, unit: Unit) -> float:
    calls, moments = Calls(library, []), unit.moments(2)
    looks = []
    for _ in range(_CLOCK_LOOKS):
        calls.run_none(moments)
        looks.append(moments.gaps_ns()[0])
    return min(looks)
