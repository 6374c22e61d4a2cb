"""``bench``: a line a cell, in random order, whatever the cell does."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from device_agents.tvm import lines
from device_agents.tvm.cell import failed, measure
from device_agents.tvm.cpus import Cpus, choose
from device_agents.tvm.driver import GpuFault
from device_agents.tvm.faults import Fault, KernelFault
from device_agents.tvm.lock import Lock
from device_agents.tvm.options import Options
from device_agents.tvm.payload import Payload
from device_agents.tvm.sensors import Sensors
from device_agents.tvm.session import open_session
from device_agents.tvm.tables import Tables
from device_agents.tvm.watch import Gate, clock_khz
from device_agents.tvm.worker import Gone, Receive, Send, Worker

STDOUT = 1
# Loading the runtime and the kernels; a driver that has to translate them may take minutes.
SETUP_MS = 300_000


def list_cells() -> int:
    """``cells``: the ids."""
    lines.write(STDOUT, {"type": "cells", "ids": [cell.id for cell in Payload.find().tables().cells]})
    return 0


def run_bench(options: Options) -> int:
    """Measure the cells. Raises Fault where none can be."""
    payload = Payload.find()
    tables = payload.tables()
    sensors = Sensors(options.sysfs)
    cpus = choose(sensors, options.cpu, options.threads, loose=options.no_pin)
    order = _chosen(tables, options.only_from)
    random.Random(options.seed).shuffle(order)  # noqa: S311 - the order of measuring is no secret
    gate = Gate(sensors, options.cool_ms, gpu=tables.gpu)
    gate.enter()  # a limit that heat sets would be taken for the user's
    lock = Lock.take(lambda: clock_khz(sensors, cpus.first, gpu=tables.gpu), asked=options.lock_frequency)
    bench = _Bench(options, tables, payload, cpus, lock)
    try:
        for index in order:
            lines.write(STDOUT, bench.cell(index, uncooled=not gate.enter()))
    finally:
        bench.end()
        lock.release()
    lines.write(STDOUT, {"type": "done", "cells": len(order)})
    return 0


def _chosen(tables: Tables, path: str | None) -> list[int]:
    """Indices of the cells that are asked for."""
    numbers = {cell.id: index for index, cell in enumerate(tables.cells)}
    if path is None:
        return list(numbers.values())
    try:
        wanted = [line for line in Path(path).read_text().splitlines() if line]
    except (OSError, UnicodeDecodeError) as error:
        raise Fault(f"{path} cannot be read: {error}") from error
    for name in wanted:
        if name not in numbers:
            raise Fault(f"{path[:80]} names the cell '{name[:120]}', which this agent does not have")
    return sorted({numbers[name] for name in wanted})


class _Bench:
    """Measures cells in a child that is kept as long as it lives: loading TVM and a GPU's driver takes a while."""

    def __init__(self, options: Options, tables: Tables, payload: Payload, cpus: Cpus, lock: Lock) -> None:
        self._options, self._tables, self._payload, self._cpus, self._lock = options, tables, payload, cpus, lock
        self._worker: Worker | None = None

    def cell(self, index: int, *, uncooled: bool) -> Mapping[str, object]:
        """The line of one cell. Raises Fault where no cell can be measured at all."""
        worker = self._worker or self._start()
        seed = self._options.seed * len(self._tables.cells) + index
        try:
            worker.request({"cell": index, "seed": seed, "uncooled": uncooled})
            line: dict[str, Any] = json.loads(worker.line(self._options.timeout_ms))
        except Gone as gone:
            self._worker = None
            return failed(self._tables.cells[index], gone)
        if line["type"] == "error":  # something else than a kernel failed
            self.end()
            return failed(self._tables.cells[index], line["reason"])
        if line.pop("last", False):
            self.end()
        return line | self._lock.members() if line["status"] == "ok" else line

    def end(self) -> None:
        """End the child."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _start(self) -> Worker:
        self._worker = Worker(self._serve, self._lock.forget)
        await_ready(self._worker)
        return self._worker

    def _serve(self, receive: Receive, send: Send) -> None:
        session = open_session(self._options, self._tables, self._payload, self._cpus)
        send({"type": "ready"})
        while (request := receive()) is not None:
            cell = self._tables.cells[int(request["cell"])]
            last = False
            try:
                found = measure(session, cell, int(request["seed"]), uncooled=bool(request["uncooled"]))
                line: Mapping[str, object] = {"type": "cell", "id": cell.id, "status": "ok", **found}
            except MemoryError:
                line = failed(cell, "out of memory")
            except Fault as error:
                line = failed(cell, error)
                # A GPU on which a kernel has failed does no more work for the process that it failed for.
                last = self._tables.gpu and isinstance(error, KernelFault | GpuFault)
            send({**line, "last": last})
            if last:
                return


def await_ready(worker: Worker) -> None:
    """Wait until a child has loaded everything. Raises Fault, saying why it could not."""
    try:
        line = json.loads(worker.line(SETUP_MS))
    except Gone as gone:
        raise Fault(f"the kernels cannot be loaded: {gone}") from gone
    if line["type"] == "error":
        raise Fault(line["reason"])
