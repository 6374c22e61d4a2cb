"""Whole nets in other precisions: compiled integers equal PyTorch's to the bit, stored weights to its tolerance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from hwaware.compiler.artifact import build_artifact
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Precision, everywhere
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.task import Task
from hwaware.devices.device import open_device
from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph
from hwaware.graph.lower import Program, lower
from hwaware.graph.model import GraphModel
from hwaware.profiling.target import target_of
from tests.compiler.agents import run_model
from tests.compiler.inprocess import AVX2, TOLERANCE, relative_error, run_programs


class Residual(nn.Module):
    """A stem, a residual block with a shortcut, depthwise and pooled, then a concatenation and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1, bias=False), nn.BatchNorm2d(10), nn.ReLU())
        self.one = nn.Conv2d(10, 12, 3, stride=2, padding=1)
        self.deep = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.two = nn.Conv2d(12, 12, 1)
        self.short = nn.Conv2d(10, 12, 1, stride=2)
        self.left, self.right = nn.Conv2d(12, 5, 1), nn.Conv2d(12, 7, 3, padding=1)
        self.head = nn.Linear(12 * 2 * 2, 9)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = torch.relu(self.two(torch.relu(self.deep(torch.relu(self.one(x))))) + self.short(x))
        y = nn.functional.max_pool2d(y, 2)
        y = torch.cat([self.left(y), nn.functional.relu6(self.right(y))], 1)
        return self.head(y.flatten(1))


EXAMPLE = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def _float() -> tuple[nn.Module, Graph]:
    torch.manual_seed(0)
    module = Residual()
    module.stem[1].running_mean.uniform_(-0.5, 0.5)
    module.stem[1].running_var.uniform_(0.5, 2)
    return module.eval(), folded(capture(module.eval(), (EXAMPLE,)))


def _in(precision: Precision) -> tuple[nn.Module, GraphModel]:
    module, graph = _float()
    data = [(torch.randn(2, 3, 8, 8), torch.zeros(2)) for _ in range(2)]
    task = Task(module, (EXAMPLE,), data, data, lambda out, _: out.sum(), lambda out, _: 0.0)
    graph = quantized(graph, everywhere(graph, precision), calibrate(graph, task, batches=2))
    return module, GraphModel(graph, (EXAMPLE,)).eval()


def _fresh(seed: int) -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 1.5


def _run(model: GraphModel, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray, Program]:
    program = lower(model.graph_for((x,)))
    with torch.no_grad():
        wanted = model(x).numpy()
    ((got,),) = run_programs([program], [(x,)], AVX2)
    return got, wanted, program


@pytest.mark.parametrize("precision", ["int8", "int8p"])
def test_integer_nets_are_equal_to_the_bit(precision: Precision) -> None:
    _, model = _in(precision)
    for seed in range(3):
        got, wanted, _ = _run(model, _fresh(seed))
        assert np.array_equal(got, wanted)


@pytest.mark.parametrize("precision", ["weight8", "weight4", "float16"])
def test_stored_weights_compute_what_pytorch_does(precision: Precision) -> None:
    _, model = _in(precision)
    got, wanted, _ = _run(model, _fresh(5))
    assert relative_error(got, wanted) < TOLERANCE


def test_between_integer_layers_only_levels_are_stored() -> None:
    """The shortcut's sum, activations, pooling and the concatenation are all done in registers or on levels."""
    _, model = _in("int8")
    program = lower(model.graph_for((EXAMPLE,)))
    numbers = [op for op in program.ops if op.output_spec.dtype == "float32"]
    # What the residual addition is given, and the classifier's output.
    assert Counter(op.kind for op in numbers) == {"dense": 1, "conv2d": 1}
    assert {op.kind for op in program.ops} <= {"conv2d", "dense", "map", "pool2d", "copy"}


@pytest.mark.parametrize(("precision", "most"), [("int8", 0.3), ("weight8", 0.3), ("weight4", 0.25), ("float16", 0.51)])
def test_weights_are_that_small_in_the_artifact(precision: Precision, most: float, tmp_path: Path) -> None:
    """Of a dense layer, whose biases and scales are few beside its weights."""
    layer = nn.Sequential(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 64))
    x = torch.randn(1, 256)
    graph = folded(capture(layer.eval(), (x,)))
    data = [(torch.randn(1, 256), torch.zeros(1))]
    task = Task(layer, (x,), data, data, lambda out, _: out.sum(), lambda out, _: 0.0)
    small = GraphModel(quantized(graph, everywhere(graph, precision), calibrate(graph, task, batches=1)), (x,)).eval()
    with open_device("local") as device:
        target = target_of(device)
    sizes = []
    for name, model in (("float", layer), (precision, small)):
        artifact = build_artifact(model, (x,), target, tmp_path / name, name=name)
        (found,), _ = run_model(artifact, (x,), tmp_path)
        with torch.no_grad():
            assert relative_error(found, model(x).numpy()) < TOLERANCE
        sizes.append((artifact.path / "weights.bin").stat().st_size)
    assert sizes[1] <= most * sizes[0]
