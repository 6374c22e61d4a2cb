"""One profile as it is asked for on the command line: plain data, so that it can be handed to another process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hwaware.costs.row import STATUSES
from hwaware.costs.table import CostTable
from hwaware.costs.validation import in_words
from hwaware.devices.clusters import EACH, every_cores
from hwaware.devices.device import Device, open_device
from hwaware.profiling.precisions import Precision
from hwaware.profiling.profile import profile
from hwaware.profiling.rounds import MOST_ROUNDS
from hwaware.profiling.target import device_facts
from hwaware.reference import load_model

CONNECTED = "connected"
Tell = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Request:
    """Profile `model` (a reference) on `device` into `out`; with `cores` "each" into a folder of it a cluster."""

    model: str
    device: str
    out: Path
    threads: int = 1
    budget_s: float | None = None
    rounds: int = MOST_ROUNDS
    resume: bool = False
    protocol: str = "pinned"
    cores: str | None = None
    unit: str | None = None
    wider: float = 1.0
    precisions: tuple[Precision, ...] = ()

    def again(self) -> str:
        """The command that goes on with it."""
        words = ["hwaware", "profile", self.model, "--device", self.device, "--out", str(self.out)]
        for name, value, usual in (
            ("--threads", self.threads, 1),
            ("--protocol", self.protocol, "pinned"),
            ("--cores", self.cores, None),
            ("--unit", self.unit, None),
            ("--wider", self.wider, 1.0),
            ("--precisions", ",".join(self.precisions), ""),
        ):
            words += [] if value == usual else [name, str(value)]
        return " ".join([*words, "--resume"])


@dataclass(frozen=True)
class Outcome:
    """A table that was written."""

    device: str
    table: str
    complete: bool
    counts: dict[str, int]
    validation: Mapping[str, Any] | None

    def document(self) -> dict[str, Any]:
        """For ``--json``."""
        rest = asdict(self)
        return {"device": rest.pop("device"), "table": rest.pop("table"), **rest.pop("counts"), **rest}

    def text(self) -> str:
        """For people."""
        counts = self.counts
        early = "" if self.complete else "; the budget ended early, --resume adds the rest"
        text = f"{self.table}: {counts['cells']} cells, {counts['unstable']} unstable, {counts['failed']} failed{early}"
        return text if self.validation is None else f"{text}\n{in_words(self.validation)}"


def run_request(request: Request, tell: Tell) -> list[Outcome]:
    """Profile as requested; `tell` hears of each step. Raises as `profile` does."""
    with open_device(request.device) as device:
        tell(0, 0, CONNECTED)
        if request.cores != EACH:
            return [_profiled(request, device, request.cores, request.out, tell)]
        names = every_cores(device_facts(device), request.threads, device.name)
        return [_profiled(request, device, name, request.out / name, _of_cluster(name, tell)) for name in names]


def _of_cluster(name: str, tell: Tell) -> Tell:
    return lambda done, total, what: tell(done, total, f"{name}: {what}")


def _profiled(request: Request, device: Device, cores: str | None, out: Path, tell: Tell) -> Outcome:
    model = load_model(request.model)
    table = profile(
        model.module,
        model.example_inputs,
        device,
        out=out,
        name=model.name,
        threads=request.threads,
        budget_s=request.budget_s,
        resume=request.resume and out.exists(),
        protocol=request.protocol,
        rounds=request.rounds,
        cores=cores,
        unit=request.unit,
        wider=request.wider,
        precisions=request.precisions,
        on_progress=tell,
    )
    return _outcome(request.device, out, table)


def _outcome(device: str, out: Path, table: CostTable) -> Outcome:
    counts = {status: sum(row.status == status for row in table.rows) for status in STATUSES}
    manifest = table.manifest
    return Outcome(device, str(out), manifest.complete, {"cells": len(table.rows), **counts}, manifest.validation)
