"""The plans that part `joint` compares, each from the same trained net and trained equally long.

`joint`: widths and precisions in one search. `widths`: the same search without precisions. `precision`: precisions
alone, of the net trained as much longer as the others are. `flops`: MorphNet on FLOPs. `full`: that longer trained net.
Where quantisation asks for fine-tuning it may take TUNING of the epochs more: those without get these from the start.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.morphnet.sweep import Run, program_of
from benchmarks.morphnet.tasks import Case, rate
from benchmarks.precision.nets import net, trained_on
from hwaware.compression.budget import Budget
from hwaware.compression.compress import JOINT, MORPHNET, PRECISION, compress
from hwaware.compression.finish import TUNING
from hwaware.compression.meters import flops
from hwaware.compression.quantize.choices import Precision
from hwaware.compression.search import Options
from hwaware.compression.task import evaluate
from hwaware.costs.model import CostModel
from hwaware.costs.table import CostTable
from hwaware.errors import BudgetError
from hwaware.graph.model import GraphModel
from hwaware.graph.store import save

WIDTHS, FLOPS, FULL = "widths", "flops", "full"
SINGLE = (WIDTHS, PRECISION)
METHODS = (JOINT, *SINGLE, FLOPS)


@dataclass(frozen=True)
class Order:
    """What one process does: a method's plans at all `shares` (of latency, of FLOPs for `flops`) from one net."""

    case: Case
    table: Path
    out: Path
    method: str
    shares: tuple[float, ...]
    seed: int
    first: int  # epochs of the net that goes in, at least
    epochs: int  # of the plan
    precisions: tuple[Precision, ...]

    @property
    def folder(self) -> Path:
        """Of all that is made for the case."""
        return self.out / self.case.label


def carried_out(order: Order) -> list[Run]:
    """The plans that there are, of those that are asked for: budgets that are refused have none."""
    torch.set_num_threads(1)
    source = CostModel(CostTable.load(order.table), beyond=False)
    found = []
    for share in order.shares:
        file = order.folder / f"{order.method}-{round(1000 * share)}-{order.seed}" / "run.json"
        if not file.exists():
            _make(order, share, source, file)
        told = json.loads(file.read_text())
        if "refused" not in told:
            found.append(Run(**told))
    return found


def _make(order: Order, share: float, source: CostModel, file: Path) -> None:
    try:
        model, metric = _MAKERS[order.method](order, share, source)
    except BudgetError as error:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"refused": str(error)}))
        return
    program = program_of(model)
    spent = sum(flops(op.workload) for op in program.ops)
    run = Run(order.method, share, order.seed, metric, spent, source.predict(program, {}).latency_ms)
    save(model, file.parent)
    file.write_text(json.dumps(asdict(run)))


def _longer(order: Order) -> int:
    return round((1 + TUNING) * order.epochs)


def _joint(order: Order, share: float, source: CostModel) -> tuple[GraphModel, float]:
    return _compressed(order, Budget(latency=_percent(share)), source, JOINT, order.epochs, order.precisions)


def _widths(order: Order, share: float, source: CostModel) -> tuple[GraphModel, float]:
    return _compressed(order, Budget(latency=_percent(share)), source, JOINT, _longer(order), ())


def _flops(order: Order, share: float, source: CostModel) -> tuple[GraphModel, float]:
    return _compressed(order, Budget(flops=_percent(share)), source, MORPHNET, _longer(order), ())


def _precision(order: Order, share: float, source: CostModel) -> tuple[GraphModel, float]:
    task = trained_on(order.case, order.seed, order.first, order.epochs, order.out / "nets")
    result = compress(
        task,
        source,
        Budget(latency=_percent(share)),
        method=PRECISION,
        options=Options(precisions=order.precisions),
        seed=order.seed,
        epochs=order.epochs,
        lr=rate(order.case),
    )
    return result.model, result.metric


def _full(order: Order, share: float, source: CostModel) -> tuple[GraphModel, float]:
    task = trained_on(order.case, order.seed, order.first, _longer(order), order.out / "nets")
    assert isinstance(task.model, GraphModel)
    return task.model, evaluate(task, task.model)


def _compressed(
    order: Order, budget: Budget, source: CostModel, method: str, epochs: int, precisions: tuple[Precision, ...]
) -> tuple[GraphModel, float]:
    task = net(order.case, order.seed, order.first, order.out / "nets")
    options = Options(precisions=precisions)
    result = compress(
        task,
        source,
        budget,
        method=method,
        options=options,
        seed=order.seed,
        epochs=epochs,
        lr=rate(order.case),
    )
    return result.model, result.metric


_MAKERS: Mapping[str, Callable[[Order, float, CostModel], tuple[GraphModel, float]]] = {
    JOINT: _joint,
    WIDTHS: _widths,
    PRECISION: _precision,
    FLOPS: _flops,
    FULL: _full,
}


def _percent(share: float) -> str:
    return f"{100 * share:.4f}%"
