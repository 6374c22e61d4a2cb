"""Small nets with BatchNorm folded, and tasks that calibrate them."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.compression.quantize.affine import Affine
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.fold import folded
from hwaware.compression.task import Task
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from tests.graph.nets import SHAPE, captured

# Residual and depthwise layers, concatenations, slices, transposed convolutions, a transformer.
SEVERAL = ("residual", "inverted", "fires", "split", "unet", "one_dimensional", "tokens")


def images(count: int, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def task_of(graph: Graph, batches: list[Any] | None = None) -> Task:
    """A task whose training data are `batches` of inputs, with targets that nobody may look at."""
    shape = next(iter(graph.inputs.values())).shape[1:]
    data = [(batch, None) for batch in batches or [images(8, seed, shape) for seed in (1, 2)]]
    return Task(GraphModel(graph), (images(2, 0, shape),), data, data, _unused, _unused, name="toy")


def _unused(output: Any, target: Any) -> Any:
    raise AssertionError("calibration asked for the loss or the metric")


def graph_of(module: nn.Module, *shape: int) -> Graph:
    """The folded graph of `module`, for inputs (N, *shape)."""
    return folded(capture_batched(module.eval(), (torch.zeros(2, *shape),)))


@cache
def ready(name: str) -> tuple[Graph, dict[str, Affine]]:
    """A folded net of `tests.graph.nets` and the ranges of its values; nobody may change them."""
    graph = folded(captured(name)[0])
    return graph, calibrate(graph, task_of(graph), observer="minmax")


def run(graph: Graph, x: Tensor) -> Tensor:
    """The graph's output, in evaluation mode."""
    with torch.no_grad():
        output: Tensor = GraphModel(graph).eval()(x)
    return output
