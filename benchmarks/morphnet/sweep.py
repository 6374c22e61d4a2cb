"""Narrower nets of one case by every method, budget and seed: trained side by side, then measured in turn."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from benchmarks.morphnet.methods import narrowed
from benchmarks.morphnet.tasks import Case, rate, task_of, trained
from hwaware.compression.meters import flops
from hwaware.compression.task import evaluate
from hwaware.costs.model import CostModel
from hwaware.costs.table import CostTable
from hwaware.graph.lower import Program, lower
from hwaware.graph.model import GraphModel
from hwaware.graph.store import load, save

FULL = "full"


@dataclass(frozen=True)
class Run:
    """One net: `share` is what was asked (of latency or FLOPs), `metric` its accuracy on the test images."""

    method: str
    share: float
    seed: int
    metric: float
    flops: float
    predicted_ms: float
    measured_ms: float = 0.0

    @property
    def name(self) -> str:
        """For files."""
        return f"{self.method}-{round(1000 * self.share)}-{self.seed}"


@dataclass(frozen=True)
class Order:
    """What one process does: all budgets of one method from the net of one seed."""

    case: Case
    table: Path
    folder: Path
    method: str
    shares: tuple[float, ...]
    seed: int
    epochs: int


def sweep(orders: Sequence[Order], processes: int) -> Iterable[list[Run]]:
    """The runs of each order as it ends, whole nets first; what is on disk already is not trained again."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for whole in (True, False):
            batch = [pool.submit(carry_out, order) for order in orders if (order.method == FULL) == whole]
            for future in as_completed(batch):
                yield future.result()


def carry_out(order: Order) -> list[Run]:
    """One order, in a process of its own."""
    torch.set_num_threads(1)
    source = CostModel(CostTable.load(order.table), beyond=False)
    runs = []
    for share in order.shares:
        place = order.folder / f"{order.method}-{round(1000 * share)}-{order.seed}"
        if not (place / "run.json").exists():
            _make(order, share, source, place)
        runs.append(Run(**json.loads((place / "run.json").read_text())))
    return runs


def _make(order: Order, share: float, source: CostModel, place: Path) -> None:
    if order.method == FULL:
        task = trained(order.case, order.seed, order.epochs)
        assert isinstance(task.model, GraphModel)
        model, metric = task.model, evaluate(task, task.model)
    else:
        task = replace(task_of(order.case), model=load(order.folder / f"{FULL}-1000-{order.seed}"))
        model, metric = narrowed(
            order.method, task, source, share, seed=order.seed, epochs=order.epochs, lr=rate(order.case)
        )
    program = program_of(model)
    spent = sum(flops(op.workload) for op in program.ops)
    run = Run(order.method, share, order.seed, metric, spent, source.predict(program, {}).latency_ms)
    save(model, place)
    (place / "run.json").write_text(json.dumps(asdict(run)))


def program_of(model: GraphModel) -> Program:
    """The operations of a GraphModel."""
    return lower(model.graph_for(model.example_inputs))


def saved_program(folder: Path, run: Run) -> Program:
    """Those of a run that is on disk."""
    return program_of(load(folder / run.name))
