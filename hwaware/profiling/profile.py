"""Profile a model on a device: a cost table that answers for it and for all narrower variants of it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.compiler.assemble import program_memory
from hwaware.compiler.choice import Choice, Variant
from hwaware.compiler.schedules import variant
from hwaware.compiler.targets import Target
from hwaware.compiler.versions import toolchain_identity
from hwaware.costs.choices import Choices
from hwaware.costs.manifest import Manifest
from hwaware.costs.row import UNSTABLE, CellRow
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device
from hwaware.errors import TableError
from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph
from hwaware.graph.lower import lower
from hwaware.graph.workload import Workload
from hwaware.profiling.bench import Bench, Effort, OutOfTime
from hwaware.profiling.cells import COARSE, OWN, measuring_order, model_cells
from hwaware.profiling.conditions import device_conditions
from hwaware.profiling.journal import Journal
from hwaware.profiling.target import device_facts, target_of
from hwaware.profiling.tune import Tuned, all_ways, settled_ways, tune

if TYPE_CHECKING:
    import torch
    from torch import nn

PROTOCOLS = ("pinned", "as-shipped")
MOST_RETRIES = 2
_LEASE_WAIT_S = 60.0
_SEED = 1
OnProgress = Callable[[int, int, str], None]  # cells done, cells in all, what is being done


def default_out(device: str, model: str) -> Path:
    """Where a table goes unless one is told."""
    return Path("hwaware-tables") / device / model.replace("/", "-")


def profile(
    module: nn.Module,
    example_inputs: Sequence[torch.Tensor],
    device: Device,
    *,
    out: Path,
    name: str = "model",
    threads: int = 1,
    budget_s: float | None = None,
    resume: bool = False,
    protocol: str = "pinned",
    on_progress: OnProgress | None = None,
) -> CostTable:
    """Measure `module`'s operations and their narrower variants into the table directory `out`.

    Every cell is on disk as soon as it is measured: with `resume` an interrupted profile goes on, and a finished one
    is completed for another model; nothing is measured twice. After `budget_s` seconds the table is finished with what
    there is, coarse widths first, and `complete` false. Raises TableError where `out` holds something that cannot be
    resumed, DeviceError, BuildError, ModelError.
    """
    if protocol not in PROTOCOLS:
        raise TableError(f"no protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    deadline = None if budget_s is None else time.monotonic() + budget_s
    graph = capture(module, example_inputs)
    target = target_of(device)
    effort = effort_for(graph, target, protocol)
    manifest = _manifest(device, target, effort, threads, protocol, name)
    with device.transport.lease(wait=_LEASE_WAIT_S), closing(Journal(out, manifest, resume=resume)) as journal:
        known = {row.key for row in journal.rows}
        cells = measuring_order(model_cells(graph, target.lanes), _SEED)
        missing = [cell for cell in cells if cell.workload.key not in known]
        tell = _Progress(on_progress, len(cells) - len(missing), len(cells))

        bench = Bench(device, target, threads, effort, deadline)
        complete = True
        try:
            # The agent measures a bundle in random order, so no bundle holds cells of two tiers.
            for tier, members in groupby(missing, key=lambda cell: cell.tier):
                _measure(bench, tier, [cell.workload for cell in members], journal, tell)
            _again(bench, journal, {cell.workload.key: cell.workload for cell in cells}, tell)
        except OutOfTime:
            have = {row.key for row in journal.rows}
            complete = all(cell.workload.key in have for cell in cells)
            own = [cell for cell in cells if cell.tier == OWN and cell.workload.key not in have]
            if own:
                raise TableError(
                    f"the budget ended before the model's own operations were measured ({len(own)} are missing): "
                    "go on with --resume and a larger --budget"
                ) from None
        return journal.finish(complete=complete)


def effort_for(graph: Graph, target: Target, protocol: str) -> Effort:
    """How long to measure a cell of `graph`, and how much memory its model touches between two of its calls.

    Weights and arena, rounded up to the next of four steps an octave: models of about the same size share cells.
    """
    footprint = sum(program_memory(lower(graph), target).values()) / 1024
    effort = Effort(displace_kb=math.ceil(2 ** (math.ceil(4 * math.log2(max(1.0, footprint))) / 4)))
    return replace(effort, min_count=1024, max_count=4096) if protocol == "as-shipped" else effort


def _manifest(device: Device, target: Target, effort: Effort, threads: int, protocol: str, name: str) -> Manifest:
    facts = device_facts(device)
    return Manifest(
        device=device.name,
        fingerprint=facts.fingerprint(),
        facts=facts.as_dict(),
        toolchain=toolchain_identity(target),
        target=target.identity(),
        threads=threads,
        protocol=protocol,
        rule=asdict(effort),
        conditions=device_conditions(facts),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        models=(name,),
        emulated=facts.emulated,
        notes=("measured under an emulator: no times of a real device",) if facts.emulated else (),
    )


@dataclass
class _Progress:
    tell: OnProgress | None
    done: int
    total: int

    def choosing(self, done: int, total: int, kind: str) -> None:
        if self.tell is not None:
            self.tell(self.done, self.total, f"trying schedules, {done} of {total}: {kind}")

    def step(self, row: CellRow, note: str = "") -> None:
        self.done += not note
        if self.tell is not None:
            self.tell(self.done, self.total, note or row.kind)


def _measure(bench: Bench, tier: int, workloads: Sequence[Workload], journal: Journal, tell: _Progress) -> None:
    """Choose a schedule for each of `workloads`, all of one tier, and measure it.

    The model's own operations are searched; the outline of the grid decides between what was found there and the
    compiler's guess; all further widths take over the nearest choice.
    """
    choices = Choices.of_rows(journal.rows)
    tuned: dict[str, Tuned] = {}
    if tier in (OWN, COARSE):
        search = all_ways if tier == OWN else partial(settled_ways, choices=choices)
        ways = search(bench.target, bench.threads)
        tuned = tune(bench, workloads, ways, tell.choosing, _SEED)

    def keep(row: CellRow) -> None:
        known = tuned.get(row.key)
        journal.append(row if known is None else replace(row, tried=known.tried))
        tell.step(row)

    def chosen(workload: Workload) -> Variant:
        known = tuned.get(workload.key)
        return variant(workload, bench.target, choices) if known is None else Variant(workload, known.choice)

    bench.measure([chosen(workload) for workload in workloads], keep, _SEED)


def _again(bench: Bench, journal: Journal, workloads: dict[str, Workload], tell: _Progress) -> None:
    """Measure unstable cells anew, up to two times; what stays unstable keeps its steadier measurement."""
    for attempt in range(1, MOST_RETRIES + 1):
        old = {
            row.key: row
            for row in journal.rows
            if row.status == UNSTABLE and row.retries < attempt and row.key in workloads
        }
        better: list[CellRow] = []

        def compare(row: CellRow, old: dict[str, CellRow] = old, better: list[CellRow] = better) -> None:
            before = old[row.key]
            chosen = min((before, row), key=_spread)
            better.append(replace(chosen, retries=before.retries + 1, tried=before.tried))
            tell.step(row, "measuring unstable cells again")

        try:
            variants = [Variant(workloads[key], Choice.parse(row.schedule)) for key, row in old.items()]
            bench.measure(variants, compare, _SEED + attempt)
        finally:
            if better:
                journal.replace(better)


def _spread(row: CellRow) -> tuple[bool, bool, float]:
    relative = (row.mad_ns or 0.0) / (row.p50_ns or 1.0)
    return not row.usable, row.status == UNSTABLE, relative
