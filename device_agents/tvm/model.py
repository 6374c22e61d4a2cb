"""A whole model: its calls over one arena, its weights, its inputs."""

from __future__ import annotations

import math
import random
import time
from pathlib import Path

from device_agents.tvm import fill, npy
from device_agents.tvm.abi import Bound
from device_agents.tvm.faults import Fault, KernelFault
from device_agents.tvm.host_memory import anonymous
from device_agents.tvm.options import Options
from device_agents.tvm.session import Session
from device_agents.tvm.tables import ARENA, Model, Place


def read_inputs(model: Model, options: Options) -> list[bytes]:
    """The inputs' elements: from files, or random. Raises Fault for files of another number or form."""
    for name, given, wanted in (
        ("inputs", options.input, model.inputs),
        ("outputs", options.output, model.outputs),
    ):
        if given and len(given) != len(wanted):
            raise Fault(f"the model has {len(wanted)} {name}, --{name[:-1]} was given {len(given)} times")
    if options.input:
        return [
            npy.read(Path(path), place.dtype, place.shape)
            for path, place in zip(options.input, model.inputs, strict=True)
        ]
    source = random.Random(options.seed)  # noqa: S311 - contents of tensors are no secret
    return [fill.values(source, place.dtype, math.prod(place.shape)) for place in model.inputs]


class LoadedModel:
    """A model in the unit's memory, ready to run; `cold_ns` and the memory are those of its first execution."""

    def __init__(self, session: Session, model: Model, inputs: list[bytes]) -> None:
        """Raises Fault where memory runs out, or the first execution fails."""
        self._session, self._model, self._inputs = session, model, inputs
        unit = session.unit
        baseline = anonymous(session.sensors)
        free = unit.free_bytes()
        if free is not None and model.arena_bytes + model.weight_bytes > free:
            needed = model.arena_bytes + model.weight_bytes
            raise Fault(f"out of memory: the model takes {needed} bytes, {free} are free")
        self._arena = unit.allocate(model.arena_bytes)
        self._weights = unit.allocate(model.weight_bytes)
        unit.upload(self._weights, session.payload.weights())
        self._calls = session.calls([(op.symbol, [self._bound(place) for place in op.arguments]) for op in model.ops])
        self._moments = unit.moments(len(model.ops) + 1)
        before = unit.free_bytes() if session.tables.gpu else None
        self.cold_ns = self.time(1)
        after = unit.free_bytes() if session.tables.gpu else None
        self.workspace = max(0, before - after) if before is not None and after is not None else 0
        self.memory = self._memory(baseline)

    def _memory(self, baseline: int | None) -> dict[str, object]:
        """Bytes. A GPU's are not resident in this process, but count: on a Jetson they are the system's."""
        model, gpu = self._model, self._session.tables.gpu
        device = model.weight_bytes + model.arena_bytes + self.workspace if gpu else 0
        now = anonymous(self._session.sensors)
        host = None if baseline is None or now is None else max(0, now - baseline)
        return {
            "weights": model.weight_bytes,
            "arena": model.arena_bytes,
            "workspace": self.workspace,
            "peak_rss": None if host is None else host + device,
            "device": device,
            "unified": self._session.unified,
        }

    def _bound(self, place: Place) -> Bound:
        return Bound(self._address(place), place.dtype, place.shape, self._session.unit.device_type)

    def _address(self, place: Place) -> int:
        return (self._arena if place.space == ARENA else self._weights) + place.offset

    def _restore(self) -> None:
        """Write the inputs: a kernel may use their memory."""
        for place, content in zip(self._model.inputs, self._inputs, strict=True):
            self._session.unit.upload(self._address(place), content)
        self._session.unit.synchronise()

    def time(self, calls: int) -> float:
        """Nanoseconds of an execution, until its outputs are there."""
        self._restore()
        start = time.monotonic_ns()
        try:
            self._calls.run(calls)
        except KernelFault as error:
            name = self._model.ops[error.index].name[:200]
            raise Fault(f"kernel error in op {error.index} '{name}': {error.said}") from error
        self._session.unit.synchronise()
        return float(time.monotonic_ns() - start)

    def time_ops(self) -> list[float]:
        """Nanoseconds of each operation of one execution."""
        self._restore()
        self._calls.run_each(self._moments)
        overhead = self._session.overhead_ns
        return [max(0.0, gap - overhead) for gap in self._moments.gaps_ns()]

    def write_outputs(self, paths: tuple[str, ...]) -> None:
        """Write the outputs of the last execution. Raises Fault."""
        for path, place in zip(paths, self._model.outputs, strict=False):
            content = self._session.unit.download(self._address(place), place.bytes)
            npy.write(Path(path), place.dtype, place.shape, content)
