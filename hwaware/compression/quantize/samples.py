"""Inputs to calibrate with, from a task's training data, checked before they are used."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from torch import Tensor

from hwaware.compression.task import Task, unpack
from hwaware.errors import TaskError
from hwaware.graph.ir import Graph, Spec


def samples(graph: Graph, task: Task, batches: int) -> Iterator[tuple[Tensor, ...]]:
    """The inputs of the first `batches` training batches, without their targets.

    Data that shuffles by epoch is set to epoch 0, so that they are the same every time.

    Raises TaskError where there are none, or where they have another number, shape or type than `graph` takes.
    """
    setter = getattr(task.train_data, "set_epoch", None)
    if callable(setter):
        setter(0)
    count = 0
    for index, batch in enumerate(islice(task.train_data, batches)):
        inputs, _ = unpack(task, batch, "train_data")
        _check(graph, inputs, f"{task.label}: calibration batch {index}")
        count += len(inputs[0])
        if len(inputs[0]):
            yield inputs
    if count == 0:
        raise TaskError(f"{task.label}: train_data is empty: calibration needs at least one batch of inputs")


def _check(graph: Graph, inputs: tuple[Tensor, ...], where: str) -> None:
    if len(inputs) != len(graph.inputs):
        raise TaskError(f"{where} has {len(inputs)} inputs, the model takes {len(graph.inputs)}")
    first = 1 if graph.batched else 0
    for value, (name, spec) in zip(inputs, graph.inputs.items(), strict=True):
        found = Spec.of(value)
        if len(found.shape) != len(spec.shape) or found.shape[first:] != spec.shape[first:]:
            wanted = ", ".join([*["N"] * first, *map(str, spec.shape[first:])])
            raise TaskError(f"{where}: input {name} has shape {found.shape}, the model takes ({wanted})")
        if found.dtype != spec.dtype:
            raise TaskError(f"{where}: input {name} is {found.dtype}, the model takes {spec.dtype}")
