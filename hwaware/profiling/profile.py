"""Profile a model on a device: a cost table that answers for it and for all narrower variants of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.costs.calibrate import calibrated
from hwaware.costs.memory import MemorySample, fit_memory
from hwaware.costs.row import ALONE, FAILED, GRAPH, CellRow
from hwaware.costs.table import CostTable
from hwaware.costs.validation import read_checks, validation_of, write_checks
from hwaware.devices.device import Device
from hwaware.devices.measuring import measuring_modes
from hwaware.errors import TableError
from hwaware.graph.capture import capture
from hwaware.graph.lower import lower
from hwaware.profiling.alone import AloneBench
from hwaware.profiling.bench import Bench, OutOfTime
from hwaware.profiling.cells import OWN, Cell, measuring_order, model_cells
from hwaware.profiling.conditions import device_conditions
from hwaware.profiling.journal import Journal
from hwaware.profiling.precisions import Precision
from hwaware.profiling.rounds import MOST_ROUNDS, Outcome, Rounds
from hwaware.profiling.settings import PROTOCOLS, cores_of, effort_for, manifest_for
from hwaware.profiling.target import device_facts, target_of
from hwaware.profiling.variants import Variants, prunable_groups, widened
from hwaware.profiling.whole import WholeBench

if TYPE_CHECKING:
    import torch
    from torch import nn

_LEASE_WAIT_S = 60.0
_SEED = 1
OnProgress = Callable[[int, int, str], None]  # steps done, steps in all as far as is known, what is being done


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
    rounds: int = MOST_ROUNDS,
    cores: str | None = None,
    unit: str | None = None,
    wider: float = 1.0,
    precisions: Sequence[Precision] = (),
    on_progress: OnProgress | None = None,
) -> CostTable:
    """Measure `module`'s operations and narrower variants of it into the table directory `out`.

    First cells alone (`profiling.cells`), then at most `rounds` rounds of whole variants (`profiling.rounds`). Every
    cell is on disk as soon as it is measured: with `resume` an interrupted profile goes on, and a finished one is
    completed for another model; no cell is measured twice. After `budget_s` seconds the table is finished with what
    there is and `complete` false. `cores` names a cluster of the device's cores (`devices.clusters`) other than the
    fastest; `unit` is what computes (`profiling.target`). With `wider` the table reaches beyond the model's widths, up
    to so many times as many channels; with `precisions` it knows layers in those beside float32. Raises TableError
    where `out` holds something that cannot be resumed, DeviceError, BuildError, ModelError.
    """
    if protocol not in PROTOCOLS:
        raise TableError(f"no protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}")
    deadline = None if budget_s is None else time.monotonic() + budget_s
    own = capture(module, example_inputs)
    graph = widened(own, wider)
    name = "+".join([name if wider == 1 else f"{name}-wider-{wider:g}", *precisions])
    target = target_of(device, unit, integers=bool(precisions))
    kept_to = cores_of(device, cores, threads, protocol)
    wanted = {
        cell.workload.key: cell
        for model in ((own,) if graph is own else (graph, own))
        for cell in model_cells(model, target.lanes, precisions)
    }
    cells = measuring_order(list(wanted.values()), _SEED)
    tell = _Progress(on_progress, 0, len(cells))
    with ExitStack() as held:
        modes = held.enter_context(measuring_modes(device, fixed=protocol == "pinned", on_wait=tell.say))
        held.enter_context(device.transport.lease(_LEASE_WAIT_S, tell.say))
        effort = effort_for(graph, target, protocol)
        bench = Bench(device, target, threads, effort, deadline, cores=kept_to, modes=modes)
        journal = held.enter_context(closing(Journal(out, manifest_for(bench, protocol, name), resume=resume)))
        complete = _cells(bench, cells, journal, tell)
        variants = Variants(graph, prunable_groups(graph), target.lanes, precisions)
        whole = _rounds(bench, variants, journal, name, protocol, rounds)
        if complete:
            complete = _whole_models(whole, bench, tell)
        return _finished(journal, whole, bench, complete=complete)


@dataclass
class _Progress:
    tell: OnProgress | None
    done: int
    total: int

    def choosing(self, done: int, total: int, kind: str) -> None:
        self.say(f"trying schedules, {done} of {total}: {kind}")

    def step(self, row: CellRow) -> None:
        self.done += 1
        self.say(row.kind)

    def say(self, what: str) -> None:
        if self.tell is not None:
            self.tell(self.done, self.total, what)


def _cells(bench: Bench, cells: Sequence[Cell], journal: Journal, tell: _Progress) -> bool:
    """Measure the cells that are not there yet; whether all are in the end."""
    failed = [row for row in journal.rows if row.status == FAILED]
    if failed:
        journal.drop(failed)  # they get another chance
    known = {row.key for row in journal.rows if row.state == ALONE}
    missing = [cell for cell in cells if cell.workload.key not in known]
    tell.done = len(cells) - len(missing)
    alone = AloneBench(bench, journal, tell.choosing, tell.step)
    try:
        # The agent measures a bundle in random order, so no bundle holds cells of two tiers.
        for tier, members in groupby(missing, key=lambda cell: cell.tier):
            alone.tier(tier, [cell.workload for cell in members])
    except OutOfTime:
        have = {row.key for row in journal.rows}
        own = [cell for cell in cells if cell.tier == OWN and cell.workload.key not in have]
        if own:
            raise TableError(
                f"the budget ended before the model's own operations were measured ({len(own)} are missing): "
                "go on with --resume and a larger --budget"
            ) from None
        return all(cell.workload.key in have for cell in cells)
    return True


def _rounds(bench: Bench, variants: Variants, journal: Journal, name: str, protocol: str, most: int) -> Rounds:
    """Rounds of the model's variants, with those that are in the journal already."""
    table = _table(journal)
    program = lower(variants.graph)
    rounds = Rounds(
        name=name,
        bench=WholeBench(
            bench.device,
            bench.target,
            bench.threads,
            protocol,
            table.choices,
            bench.witness,
            bench.cores,
            bench.modes,
        ),
        variants=variants,
        program=program,
        table=lambda: _table(journal),
        keep=lambda found, old: _keep(journal, found, old),
        most=most,
    )
    rounds.recall(read_checks(journal.folder), [row for row in journal.rows if row.state == GRAPH])
    return rounds


def _table(journal: Journal) -> CostTable:
    return CostTable(journal.manifest, tuple(journal.rows))


def _keep(journal: Journal, found: Sequence[Outcome], old: Sequence[Outcome]) -> None:
    """Keep what was `found`, in place of the rows of `old` outcomes.

    Rows first: a check without them is not taken up again, and its model measured once more.
    """
    known = {row.identity: row for row in journal.rows}
    outdated = {row.identity for outcome in old for row in outcome.rows if known.get(row.identity) == row}
    renewed = [row for outcome in found for row in outcome.rows if row.identity in outdated]
    if renewed:
        journal.replace(renewed)
    for outcome in found:
        for row in outcome.rows:
            if row.identity not in known:
                known[row.identity] = row
                journal.append(row)
        _write_checks(journal, [outcome])


def _write_checks(journal: Journal, outcomes: Sequence[Outcome]) -> None:
    checks = {(check.digest, check.source): check for check in read_checks(journal.folder)}
    checks |= {(one.check.digest, one.check.source): one.check for one in outcomes}
    write_checks(journal.folder, checks.values())


def _whole_models(rounds: Rounds, bench: Bench, tell: _Progress) -> bool:
    """Measure rounds until the table is good; whether it is. A round is begun if it can be expected to end in time."""
    longest = 0.0
    while not rounds.settled:
        begun = time.monotonic()
        if bench.deadline is not None and begun + longest > bench.deadline:
            return False
        tell.say(f"whole variants, round {rounds.done + 1}")
        rounds.next()
        longest = max(longest, time.monotonic() - begun)
    tell.say("whole variants, once more")
    rounds.look_again()
    return True


def _finished(journal: Journal, rounds: Rounds, bench: Bench, *, complete: bool) -> CostTable:
    """The table with what the whole models say of its errors and of peak memory."""
    outcomes = rounds.outcomes
    table = calibrated(_table(journal), rounds.name, [outcome.known for outcome in outcomes])
    own = {outcome.check.model for outcome in outcomes}
    others = [check for check in read_checks(journal.folder) if check.model not in own]
    # Under two names one architecture has the same variants.
    checks = list({(check.digest, check.source): check for check in (*others, *rounds.checks())}.values())
    write_checks(journal.folder, checks)
    samples = [
        MemorySample(one.check.weights, one.check.arena, len(one.program.ops), one.check.measured_rss)
        for one in outcomes
        if one.check.measured_rss is not None
    ]
    facts = device_facts(bench.device)
    manifest = replace(table.manifest, validation=validation_of(checks))
    if samples:
        manifest = replace(manifest, memory=fit_memory(samples, facts.page_bytes).document())
    if bench.witness.lock is not None:
        conditions = device_conditions(
            facts, bench.witness.lock, bench.witness.calm, cores=bench.cores, modes=bench.modes.conditions
        )
        manifest = replace(manifest, conditions=conditions)
    journal.manifest = manifest
    return journal.finish(complete=complete)
