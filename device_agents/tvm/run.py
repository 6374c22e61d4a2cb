"""``run``: a whole model, timed; with ``--per-op`` each of its operations within the whole as well."""

from __future__ import annotations

import json
import time
from typing import Any

from device_agents.tvm import lines, sentinel
from device_agents.tvm.bench import STDOUT, await_ready
from device_agents.tvm.calm import Calm
from device_agents.tvm.cell import sampled
from device_agents.tvm.cpus import Cpus, choose
from device_agents.tvm.faults import Fault
from device_agents.tvm.jetson import Tegrastats
from device_agents.tvm.lock import Lock
from device_agents.tvm.model import LoadedModel, read_inputs
from device_agents.tvm.options import Options
from device_agents.tvm.payload import Payload
from device_agents.tvm.sampling import Effort, sample
from device_agents.tvm.sensors import Sensors
from device_agents.tvm.session import Session, open_session
from device_agents.tvm.tables import Model, Tables
from device_agents.tvm.watch import Gate, Watch, clock_khz
from device_agents.tvm.worker import Gone, Receive, Send, Worker

_MS = 1_000_000
# The first executions after a pause are not like those in a row.
_DISCARDED = 3
# Samples of all operations together that are kept.
_MOST_KEPT = 1 << 20


def run_model(options: Options) -> int:
    """Measure the model. Raises Fault where that cannot be."""
    payload = Payload.find()
    tables = payload.tables()
    model = tables.model
    if model is None:
        raise Fault("this agent carries no model")
    sensors = Sensors(options.sysfs)
    cpus = choose(sensors, options.cpu, options.threads, loose=options.no_pin)
    uncooled = not Gate(sensors, options.cool_ms, gpu=tables.gpu).enter()
    lock = Lock.take(lambda: clock_khz(sensors, cpus.first, gpu=tables.gpu), asked=options.lock_frequency)
    worker: Worker | None = None
    try:
        worker = Worker(
            lambda receive, send: _serve(options, tables, model, payload, cpus, uncooled, receive, send), lock.forget
        )
        return _relay(worker, options, lock)
    finally:
        if worker is not None:
            worker.end()
        lock.release()


def _relay(worker: Worker, options: Options, lock: Lock) -> int:
    """Pass the child's lines on."""
    await_ready(worker)
    deadline = time.monotonic() + options.timeout_ms / 1000
    while True:
        left_ms = max(1, round((deadline - time.monotonic()) * 1000))
        try:
            line: dict[str, Any] = json.loads(worker.line(left_ms))
        except Gone as gone:
            late = time.monotonic() >= deadline
            raise Fault(f"timed out after {options.timeout_ms} ms" if late else str(gone)) from gone
        if line["type"] == "error":
            raise Fault(line["reason"])
        lines.write(STDOUT, line | lock.members() if line["type"] == "run" else line)
        if line["type"] == "done":
            return 0


def _serve(
    options: Options,
    tables: Tables,
    model: Model,
    payload: Payload,
    cpus: Cpus,
    uncooled: bool,
    _receive: Receive,
    send: Send,
) -> None:
    inputs = read_inputs(model, options)
    session = open_session(options, tables, payload, cpus)
    send({"type": "ready"})
    loaded = LoadedModel(session, model, inputs)
    loaded.write_outputs(options.output)
    send({"type": "run", "model": model.name} | _sampled(session, loaded, uncooled=uncooled))
    if options.per_op:
        for index, (op, samples) in enumerate(zip(model.ops, _per_op(session, model, loaded), strict=True)):
            kept = [round(ns, 1) for ns in samples]
            send({"type": "op", "index": index, "name": op.name, "key": op.key, "samples_ns": kept})
    send({"type": "done"})


def _calm(session: Session) -> Calm:
    options = session.options
    return Calm(options.calm_work_ns, options.patience_ms * _MS, session.sentinel.glance)


def _sampled(session: Session, loaded: LoadedModel, *, uncooled: bool) -> dict[str, object]:
    options = session.options
    effort = Effort(
        min_time_ns=options.min_time_ms * _MS,
        min_count=min(options.min_count, options.max_count),
        max_count=options.max_count,
        thin=options.thin,
    )
    board = Tegrastats()
    before = session.sentinel.run()
    calm = _calm(session)
    watch = Watch(session.sensors, session.cpus.first, gpu=session.tables.gpu)
    samples = sample(loaded, effort, calm, watch)
    after = session.sentinel.run()
    return {
        "threads": options.threads,
        **session.cpus.members(),
        "cold_ns": round(loaded.cold_ns),
        **sampled(samples),
        "memory": loaded.memory,
        **sentinel.members(before, after),
        **calm.members(),
        **watch.members(uncooled=uncooled),
        "board": board.end(),
    }


def _per_op(session: Session, model: Model, loaded: LoadedModel) -> list[list[float]]:
    """Samples of each operation, as many of all, in a pass of their own; in calm moments, if those were asked for."""
    options, calm = session.options, _calm(session)
    most = max(options.min_count, _MOST_KEPT // max(1, len(model.ops)))
    effort = Effort(options.min_time_ms * _MS, min(options.min_count, options.max_count), min(most, options.max_count))
    for _ in range(_DISCARDED):
        loaded.time_ops()
    rounds: list[list[float]] = []
    kept_ns = 0.0
    while len(rounds) < effort.max_count and (
        len(rounds) < effort.min_count or (kept_ns < effort.min_time_ns and not calm.is_over())
    ):
        calm.wait()
        begun = time.monotonic_ns()
        taken = loaded.time_ops()
        block_ns = time.monotonic_ns() - begun
        if not calm.spoilt(block_ns):
            rounds.append(taken)
            kept_ns += block_ns
    return [list(samples) for samples in zip(*rounds, strict=True)]
