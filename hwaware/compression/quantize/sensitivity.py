"""How much the loss rises where one layer alone is quantised, for each precision it may have.

Measured, layer by layer, on the task's training data; without labels by how far the outputs move (the
Kullback-Leibler divergence of class probabilities, or the squared difference of what are no classes), as in
Cai et al. 2020 (ZeroQ, arXiv:2001.00281).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

from torch import nn

from hwaware.compression.checkpoint import Checkpoint, Snapshot
from hwaware.compression.distributed import joined
from hwaware.compression.quantize.affine import Ranges
from hwaware.compression.quantize.choices import Precision
from hwaware.compression.quantize.simulate import simulated
from hwaware.compression.quantize.taught import moved
from hwaware.compression.task import Task, blamed, evaluating, unpack
from hwaware.errors import TaskError
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

Sensitivity: TypeAlias = Literal["loss", "outputs"]
Losses: TypeAlias = dict[str, dict[Precision, float]]
BATCHES = 4


def sensitivities(
    graph: Graph,
    task: Task,
    options: Mapping[str, Sequence[Precision]],
    ranges: Ranges,
    *,
    by: Sensitivity = "loss",
    batches: int = BATCHES,
    checkpoint: Checkpoint | None = None,
) -> Losses:
    """By layer and precision of `options` (but float32) what the loss of `graph` rises by; never below 0.

    `graph` should have its BatchNorms folded, `ranges` those of all integer layers. The first `batches` batches of
    training data count; `by` "outputs" does not look at their targets. The processes of torchrun share the work. What
    was measured is kept in `checkpoint`, and gone on with. Raises TaskError.
    """
    data = list(itertools.islice(_first_epoch(task), batches))
    if not data:
        raise TaskError(f"{task.label}: train_data is empty: sensitivity needs at least one batch")
    asked = [(layer, each) for layer, every in options.items() for each in every if each != "float32"]
    plain = GraphModel(graph, task.example_inputs)
    answers = _answers(task, plain, data) if by == "outputs" else None
    arguments = {"by": by, "batches": len(data), "asked": [f"{layer} {each}" for layer, each in asked]}
    found = _kept(checkpoint, arguments)
    before = _loss(task, plain, data, answers)
    with joined() as processes:
        while len(found) < len(asked):
            turn = asked[len(found) : len(found) + processes.count]
            mine = [0.0] * len(turn)
            if processes.rank < len(turn):
                layer, each = turn[processes.rank]
                model = GraphModel(simulated(graph, {layer: each}, ranges), task.example_inputs)
                mine[processes.rank] = max(0.0, _loss(task, model, data, answers) - before)
            found += processes.total(mine, next(plain.parameters()).device)
            if checkpoint is not None and processes.main:
                checkpoint.save(arguments, Snapshot(len(found), len(data), [found], {}))
    losses: Losses = {layer: {} for layer in options}
    for (layer, each), value in zip(asked, found, strict=True):
        losses[layer][each] = value
    return losses


def _first_epoch(task: Task) -> Any:
    setter = getattr(task.train_data, "set_epoch", None)
    if callable(setter):
        setter(0)
    return task.train_data


def _kept(checkpoint: Checkpoint | None, arguments: Mapping[str, Any]) -> list[float]:
    """What is in the checkpoint, up to where it broke off."""
    snapshot = None if checkpoint is None else checkpoint.load(arguments)
    if checkpoint is None or snapshot is None:
        return []
    values = snapshot.states[0] if len(snapshot.states) == 1 else None
    if not isinstance(values, list) or not all(isinstance(value, float) and value >= 0 for value in values):
        raise checkpoint.corrupt("its losses are not numbers")
    return values[: len(arguments["asked"])]


def _answers(task: Task, model: nn.Module, data: Sequence[Any]) -> list[Any]:
    with evaluating(model), blamed(f"{task.label}: the model"):
        return [model(*unpack(task, batch, "train_data")[0]) for batch in data]


def _loss(task: Task, model: nn.Module, data: Sequence[Any], answers: Sequence[Any] | None) -> float:
    """Mean over the samples of `data`. Raises TaskError where it is no number."""
    total, samples = 0.0, 0
    with evaluating(model):
        for index, batch in enumerate(data):
            inputs, target = unpack(task, batch, "train_data")
            with blamed(f"{task.label}: training batch {index}: the model or the loss"):
                output = model(*inputs)
                value = task.loss(output, target) if answers is None else moved(output, answers[index])
                total += float(value) * len(inputs[0])
            samples += len(inputs[0])
    if not samples or not math.isfinite(total):
        raise TaskError(f"{task.label}: the loss of the training data is no number")
    return total / samples
