"""Variants predicted and compiled, side by side in processes of their own; nothing may be measured meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from joblib import Parallel, delayed

from benchmarks.predict.draw import Widths, source
from benchmarks.predict.outcome import OpTime, Predicted
from hwaware.compiler.artifact import build_artifact
from hwaware.compiler.targets import restored_target
from hwaware.costs.model import CostModel
from hwaware.costs.predict import predict
from hwaware.costs.table import CostTable
from hwaware.errors import MissingCostError


@dataclass(frozen=True)
class Job:
    """A variant of the model `ref` to ask the table in the folder `table` about; `out` is where it is compiled to."""

    ref: str
    widths: Widths | None
    table: Path
    out: Path | None = None


Answer = tuple[Predicted | None, str]  # without a prediction, why


def prepare(jobs: Sequence[Job], tell: Callable[[int, int], None]) -> list[Answer]:
    """Each job's prediction, made before its artifact is. Raises what compiling raises."""
    answers = []
    workers = Parallel(n_jobs=os.cpu_count(), return_as="generator")
    for answer in workers(delayed(_prepare)(job) for job in jobs):
        answers.append(answer)
        tell(len(answers), len(jobs))
    return answers


def _prepare(job: Job) -> Answer:
    torch.set_num_threads(1)
    origin, costs = source(job.ref), _costs(job.table)
    module = origin.variant(job.widths)
    answer = ask(module, origin.model.example_inputs, costs)
    if job.out is not None:
        target, choices = restored_target(costs.table.manifest.target), costs.table.choices
        name = origin.model.name
        build_artifact(module, origin.model.example_inputs, target, job.out, name=name, chooser=choices)
    return answer


def ask(module: torch.nn.Module, example_inputs: Sequence[torch.Tensor], costs: CostModel) -> Answer:
    """What the table says of `module`; a table that lacks a cost is no error here but a prediction that failed."""
    try:
        found = predict(module, example_inputs, costs)
    except MissingCostError as error:
        return None, str(error)
    memory = found.memory_bytes
    ops = tuple(OpTime(op.name, op.key, op.latency_ms, op.provenance) for op in found.ops)
    low, high = found.interval_ms
    return Predicted(found.latency_ms, low, high, memory.get("peak_rss"), memory["weights"], memory["arena"], ops), ""


@lru_cache(maxsize=1)
def _costs(table: Path) -> CostModel:
    """A worker answers for one table after the other."""
    return CostModel(CostTable.load(table))
