"""Inputs to code layers with, and others that only measure how well it went."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from hwaware.compression.quantize.samples import samples
from hwaware.compression.task import Task
from hwaware.errors import TaskError
from hwaware.graph.ir import Graph

BATCHES = 8


@dataclass(frozen=True)
class Calibration:
    """Batches of the model's inputs: `seen` by the coding, `unseen` by it. The paper takes 1024 images."""

    seen: tuple[tuple[Tensor, ...], ...]
    unseen: tuple[tuple[Tensor, ...], ...]


def calibration(graph: Graph, task: Task, batches: int = BATCHES) -> Calibration:
    """The first `batches` of the training data, a quarter of them (at least one) kept back; targets are not looked at.

    A single batch is cut in two. Raises TaskError for fewer than two samples, inputs that do not fit, and NaN.
    """
    given = list(samples(graph, task, batches))
    for index, inputs in enumerate(given):
        if not all(bool(x.isfinite().all()) for x in inputs if x.is_floating_point()):
            raise TaskError(f"{task.label}: calibration batch {index} holds NaN or infinity; clean the training data")
    if len(given) == 1:
        (whole,) = given
        half = len(whole[0]) // 2
        if half < 1 or not graph.batched:
            raise TaskError(f"{task.label}: calibration needs at least two samples, one of them to measure with")
        return Calibration((tuple(x[half:] for x in whole),), (tuple(x[:half] for x in whole),))
    kept = max(1, len(given) // 4)
    return Calibration(tuple(given[:-kept]), tuple(given[-kept:]))
