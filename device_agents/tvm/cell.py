"""One kernel, timed alone on memory of its own."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from contextlib import suppress

from device_agents.tvm import fill, sentinel
from device_agents.tvm.abi import Bound
from device_agents.tvm.calm import Calm
from device_agents.tvm.faults import Fault
from device_agents.tvm.host_memory import peak_above, reset_peak
from device_agents.tvm.sampling import Effort, Samples, sample
from device_agents.tvm.session import Session
from device_agents.tvm.tables import INPUT, OUTPUT, SCRATCH, WEIGHT, Argument, Cell
from device_agents.tvm.watch import Watch

# A sample shorter than this would measure the clock, and of a GPU how fast kernels can be launched.
_MIN_SAMPLE_NS, _MIN_GPU_SAMPLE_NS = 20_000, 200_000
_MS = 1_000_000


class _Memory:
    """The cell's tensors; before a displaced sample, memory is put into the state a whole model leaves it in."""

    def __init__(self, session: Session, cell: Cell, seed: int) -> None:
        self._unit = session.unit
        self._cell = cell
        needed = sum(argument.bytes for argument in cell.arguments)
        free = self._unit.free_bytes()
        if free is not None and needed > free:
            raise Fault("out of memory")
        self.addresses = [self._unit.allocate(argument.bytes) for argument in cell.arguments]
        source = random.Random(seed)  # noqa: S311 - contents of tensors are no secret
        for argument, address in zip(cell.arguments, self.addresses, strict=True):
            self._unit.upload(address, _content(argument, source))
        self._others = self._others_bytes = 0
        self._kept: list[tuple[int, int, int]] = []  # an input, its copy, bytes

    def displace(self, size: int) -> None:
        """Prepare for `leave` with `size` bytes of other memory."""
        self._others, self._others_bytes = self._unit.allocate(size), size
        self.addresses.append(self._others)
        for argument, address in zip(self._cell.arguments, self.addresses, strict=False):
            if argument.role == INPUT:
                copy = self._unit.allocate(argument.bytes)
                self.addresses.append(copy)
                self._unit.copy(copy, address, argument.bytes)
                self._kept.append((address, copy, argument.bytes))

    def leave(self) -> None:
        """Other bytes go through the caches; then the output's memory is used, and the input written, as before it."""
        self._unit.fill(self._others, 1, self._others_bytes)
        for argument, address in zip(self._cell.arguments, self.addresses, strict=False):
            if argument.role in (SCRATCH, OUTPUT):
                self._unit.fill(address, 0, argument.bytes)
        for address, copy, size in self._kept:
            self._unit.copy(address, copy, size)

    def free(self) -> None:
        """Give all of it back; a GPU that has failed has lost it anyway."""
        with suppress(Fault):
            for address in self.addresses:
                self._unit.free(address)


def _content(argument: Argument, source: random.Random) -> bytes:
    count = math.prod(argument.shape)
    if argument.role in (OUTPUT, SCRATCH):
        return bytes(argument.bytes)
    if argument.dtype.startswith("float"):
        return fill.values(source, argument.dtype, count)
    return fill.indices(source, argument.dtype, count, argument.limit)


class _Timed:
    def __init__(self, session: Session, cell: Cell, memory: _Memory) -> None:
        unit = session.unit
        tensors = [
            Bound(address, argument.dtype, argument.shape, unit.device_type)
            for argument, address in zip(cell.arguments, memory.addresses, strict=False)
        ]
        self._session = session
        self._memory = memory
        self._calls = session.calls([(cell.symbol, tensors)])
        self._moments = unit.moments(2)
        self.displaced = False

    def time(self, calls: int) -> float:
        """Nanoseconds of so many calls."""
        if self.displaced:
            self._memory.leave()
        self._calls.run(calls, self._moments)
        return self._session.between_ns(self._moments)


def measure(session: Session, cell: Cell, seed: int, *, uncooled: bool) -> dict[str, object]:
    """What a line says of a cell but for the lock. `uncooled`: the wait before it was in vain. Raises Fault."""
    baseline = reset_peak(session.sensors)
    memory = _Memory(session, cell, seed)
    try:
        return _measured(session, cell, memory, baseline, uncooled=uncooled)
    finally:
        memory.free()


def _measured(
    session: Session, cell: Cell, memory: _Memory, baseline: int | None, *, uncooled: bool
) -> dict[str, object]:
    options, gpu = session.options, session.tables.gpu
    timed = _Timed(session, cell, memory)
    free = session.unit.free_bytes() if gpu else None
    cold_ns = timed.time(1)
    left = session.unit.free_bytes() if gpu else None
    workspace = max(0, free - left) if free is not None and left is not None else 0
    argument_bytes = sum(argument.bytes for argument in cell.arguments)
    peak = peak_above(session.sensors, baseline)
    if options.displace_kb:
        memory.displace(options.displace_kb * 1024)
        timed.displaced = True
    effort = Effort(
        min_time_ns=options.min_time_ms * _MS,
        min_count=min(options.min_count, options.max_count),
        max_count=options.max_count,
        min_sample_ns=0 if options.displace_kb else _MIN_GPU_SAMPLE_NS if gpu else _MIN_SAMPLE_NS,
    )
    before = session.sentinel.run()
    calm = Calm(options.calm_work_ns, options.patience_ms * _MS, session.sentinel.glance)
    watch = Watch(session.sensors, session.cpus.first, gpu=gpu)
    samples = sample(timed, effort, calm, watch)
    after = session.sentinel.run()
    return {
        "threads": options.threads,
        **session.cpus.members(),
        "cold_ns": round(cold_ns),
        **sampled(samples),
        "weight_bytes": sum(argument.bytes for argument in cell.arguments if argument.role == WEIGHT),
        "arg_bytes": argument_bytes,
        "workspace_bytes": workspace,
        # What a GPU works on is not resident in this process; on a board of its own it is memory all the same.
        "peak_rss_delta_bytes": None if peak is None else peak + (argument_bytes + workspace if gpu else 0),
        **sentinel.members(before, after),
        **calm.members(),
        **watch.members(uncooled=uncooled),
    }


def sampled(samples: Samples) -> dict[str, object]:
    """The samples' members of a line."""
    return {
        "inner": samples.inner,
        "stride": samples.stride,
        "converged": samples.converged,
        "samples_ns": [round(ns, 1) for ns in samples.ns],
    }


def failed(cell: Cell, reason: object) -> Mapping[str, object]:
    """The line of a cell that could not be measured."""
    return {"type": "cell", "id": cell.id, "status": "failed", "reason": str(reason)}
