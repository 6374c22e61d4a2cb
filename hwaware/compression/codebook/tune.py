"""Codewords trained to answer like the original network: one layer's first, then those of all.

Stock et al. 2019 (arXiv:1907.05686, sections 3.3 and 3.4): the loss is KL(teacher ‖ student) at temperature 1, nobody
looks at a label, indices stay. A single layer is trained with BatchNorm frozen, all of them with its statistics
following the new weights. The learning rate of the second is that of `fit`, not the paper's steps of a tenth.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.codebook.coded import CodedLayer
from hwaware.compression.codebook.student import Student, student, with_layers
from hwaware.compression.quantize.taught import moved, taught
from hwaware.compression.randomness import seeded
from hwaware.compression.task import Task, blamed, evaluating, unpack
from hwaware.compression.train import fit
from hwaware.errors import TaskError
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel


@dataclass(frozen=True)
class LayerTuning:
    """SGD on one layer's codewords; the paper takes 2500 `steps`. None with 0."""

    steps: int = 100
    lr: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 1e-4


@dataclass(frozen=True)
class GlobalTuning:
    """SGD on all codewords for `epochs` of the training data, and on what else is trained where `rest` says so.

    Biases and BatchNorm's scales weigh the same trained or not.
    """

    epochs: int = 3
    lr: float = 0.01
    weight_decay: float = 1e-4
    rest: bool = False


@dataclass(frozen=True)
class Tuned:
    """The dense graph of the tuned codewords, with the BatchNorm statistics that belong to them, and those."""

    graph: Graph
    layers: tuple[CodedLayer, ...]


def tuned_layer(
    graph: Graph, task: Task, teacher: nn.Module, layer: CodedLayer, how: LayerTuning, *, seed: int = 0
) -> CodedLayer:
    """`layer` with codewords that bring the outputs of `graph` nearer to the teacher's; the rest of it stays.

    `graph` holds dense weights, those of layers coded before included. The codewords are given back as they came
    where training did not help on its own batches. Raises TaskError for a loss that is not finite, and for bad data.
    """
    if how.steps < 1:
        return layer
    first = student(graph, [layer])
    model = GraphModel(first.graph, task.example_inputs).eval()
    (words,) = model.parameters()
    stepper = torch.optim.SGD([words], lr=how.lr, momentum=how.momentum, weight_decay=how.weight_decay)
    data = taught(task, teacher, "distillation", moved)
    seen: list[tuple[tuple[Tensor, ...], Any]] = []
    with seeded(seed, words.device):
        for step, (inputs, answer) in enumerate(_batches(data, how.steps)):
            where = f"{task.label}: tuning of {layer.name}, step {step}"
            with blamed(f"{where}: the model"):
                loss = moved(model(*inputs), answer)
            if not math.isfinite(loss.item()):
                raise TaskError(f"{where}: the loss became {loss.item()}; lower the learning rate ({how.lr:g})")
            stepper.zero_grad()
            loss.backward()
            stepper.step()
            seen = [*seen, (inputs, answer)][:_COMPARED]
    (after,) = first.coded(model.graph)
    return after if _distance(graph, task, after, seen) < _distance(graph, task, layer, seen) else layer


_COMPARED = 4  # batches that decide whether tuning helped


def _distance(graph: Graph, task: Task, layer: CodedLayer, batches: Sequence[tuple[tuple[Tensor, ...], Any]]) -> float:
    model = GraphModel(with_layers(graph, [layer]), task.example_inputs)
    with evaluating(model):
        return sum(float(moved(model(*inputs), answer)) for inputs, answer in batches)


def _batches(task: Task, count: int) -> Iterator[tuple[tuple[Tensor, ...], Any]]:
    """`count` batches of inputs and the teacher's answers: as many epochs as it takes."""
    given, epoch = 0, 0
    setter = getattr(task.train_data, "set_epoch", None)
    while given < count:
        before = given
        if callable(setter):
            setter(epoch)
        for batch in task.train_data:
            if given == count:
                return
            inputs, (_, answer) = unpack(task, batch, "train_data")
            given += 1
            yield inputs, answer
        epoch += 1
        if given == before:
            raise TaskError(f"{task.label}: train_data is empty: tuning needs at least one batch of inputs")


def tuned(
    graph: Graph,
    task: Task,
    teacher: nn.Module,
    layers: Sequence[CodedLayer],
    how: GlobalTuning,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
) -> Tuned:
    """All `layers` of `graph` trained together, BatchNorm in training mode; see `hwaware.compression.train.fit`.

    The metric that `on_epoch` is told is the share of samples on which student and teacher agree. Raises what `fit`
    does.
    """
    whole = student(graph, layers, rest=how.rest)
    model = GraphModel(whole.graph, task.example_inputs)
    if how.epochs > 0:
        lesson = replace(taught(task, teacher, "distillation", moved), model=model, metric=_agreement)
        fit(
            model,
            lesson,
            epochs=how.epochs,
            lr=how.lr,
            seed=seed,
            weight_decay=how.weight_decay,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
        )
    return _result(whole, graph, model.graph)


def _result(whole: Student, graph: Graph, trained: Graph) -> Tuned:
    made = whole.dense(graph, trained)
    # The trained model's tensors are its own, and a caller may train it on.
    tensors = {name: tensor.detach().clone() for name, tensor in made.tensors.items()}
    return Tuned(replace(made, tensors=tensors), whole.coded(trained))


def _agreement(output: Any, answers: tuple[Any, Any]) -> float:
    """Share of samples whose largest output is the teacher's; targets are not looked at."""
    if not isinstance(output, Tensor) or output.dim() < 2:
        return 0.0
    return float((output.argmax(1) == answers[1].argmax(1)).float().mean())
