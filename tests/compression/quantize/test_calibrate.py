"""Ranges of values from a task's inputs, and what is wrong with inputs that have none."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hwaware.compression.quantize.affine import affine
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import everywhere
from hwaware.compression.quantize.rewrite import quantized
from hwaware.errors import TaskError
from hwaware.graph.ir import Graph
from hwaware.zoo.batches import Batches
from tests.compression.quantize.nets import graph_of, images, ready, run, task_of


class Joined(nn.Module):
    """Branches of different size that are concatenated and pooled."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.last = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1), nn.Conv2d(8, 2, 3)
        self.two.weight.data.mul_(5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.cat([torch.relu(self.one(x)), torch.relu(self.two(x))], 1)
        return self.last(nn.functional.max_pool2d(x, 2))


def test_ranges_are_those_of_the_values() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    graph = graph_of(net, 3, 8, 8)
    batches = [images(4, seed) for seed in (1, 2, 3)]
    found = calibrate(graph, task_of(graph, batches), batches=2, observer="minmax")
    seen = torch.cat(batches[:2])
    hidden = net[:2](seen).detach()
    assert found == {"input": affine(float(seen.min()), float(seen.max())), "relu": affine(0.0, float(hidden.max()))}


def test_what_is_joined_shares_its_range() -> None:
    torch.manual_seed(0)
    graph = graph_of(Joined(), 3, 8, 8)
    found = calibrate(graph, task_of(graph), observer="minmax")
    shared = {"relu", "relu_1", "cat", "max_pool2d"}
    assert found.keys() == shared | {"x"}
    assert len({found[name] for name in shared}) == 1
    seen = torch.cat([images(8, seed) for seed in (1, 2)])
    one, two = (run(_upto(graph, name), seen) for name in ("relu", "relu_1"))
    assert found["cat"] == affine(0.0, float(torch.maximum(one.max(), two.max())))


def _upto(graph: Any, name: str) -> Any:
    return type(graph)(graph.inputs, graph.nodes, (name,), graph.tensors, graph.parameters, graph.batched)


@pytest.mark.parametrize("name", ["residual", "fires", "split", "tokens"])
def test_the_ranges_of_all_layers_serve_fewer(name: str) -> None:
    graph, ranges = ready(name)
    every = everywhere(graph, "int8")
    for layer in every:
        quantized(graph, {other: "int8" for other in every if other != layer}, ranges)
        quantized(graph, {layer: "int8p"}, ranges)


def test_shuffled_data_gives_the_same_ranges_every_time() -> None:
    graph, _ = ready("chain")
    task = task_of(graph)
    object.__setattr__(task, "train_data", Batches(images(64), torch.zeros(64), 8, seed=3))
    first = calibrate(graph, task, batches=2, observer="minmax")
    assert calibrate(graph, task, batches=2, observer="minmax") == first
    assert calibrate(graph, task, batches=8, observer="minmax") != first


def test_constant_activations_calibrate() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    net[0].weight.data.zero_()
    net[0].bias.data.fill_(-1.0)
    graph = graph_of(net, 3, 4, 4)
    after = quantized(graph, everywhere(graph, "int8"), calibrate(graph, task_of(graph)))
    x = images(2, 0, (3, 4, 4))
    torch.testing.assert_close(run(after, x), run(graph, x), atol=1e-5, rtol=0)


class Doubles(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.again = nn.Conv2d(3, 2, 1), nn.Conv2d(2, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.again(torch.exp(torch.exp(self.conv(x))))


BAD: list[tuple[Any, str]] = [
    ([], "task toy: train_data is empty: calibration needs at least one batch of inputs"),
    (
        [(torch.zeros(0, 3, 8, 8), None)],
        "task toy: train_data is empty: calibration needs at least one batch of inputs",
    ),
    (
        [(torch.zeros(2, 3, 8, 8), None), (torch.zeros(2, 3, 9, 8), None)],
        "task toy: calibration batch 1: input x has shape (2, 3, 9, 8), the model takes (N, 3, 8, 8)",
    ),
    (
        [(torch.zeros(3, 8, 8), None)],
        "task toy: calibration batch 0: input x has shape (3, 8, 8), the model takes (N, 3, 8, 8)",
    ),
    (
        [(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), None)],
        "task toy: calibration batch 0: input x is uint8, the model takes float32",
    ),
    (
        [((torch.zeros(2, 3, 8, 8), torch.zeros(2)), None)],
        "task toy: calibration batch 0 has 2 inputs, the model takes 1",
    ),
    (
        [torch.zeros(2, 3, 8, 8)],
        "task toy: train_data must hold (input, target) batches, the input a tensor or a tuple of tensors; "
        "it holds a Tensor",
    ),
    (
        [(torch.full((2, 3, 8, 8), torch.inf), None)],
        "task toy: calibration batch 0: value x holds NaN or infinity: clean the data, or train the model again if it "
        "overflows",
    ),
    (
        [(torch.full((2, 3, 8, 8), 1e4), None)],
        "task toy: calibration batch 0: value exp_1 holds NaN or infinity: clean the data, or train the model again if "
        "it overflows",
    ),
]


@pytest.fixture(scope="module")
def doubles() -> Graph:
    torch.manual_seed(0)
    net = Doubles()
    net.conv.weight.data.abs_()
    return graph_of(net, 3, 8, 8)


@pytest.mark.parametrize(("data", "message"), BAD)
def test_bad_input_is_one_clear_line(doubles: Graph, data: Any, message: str) -> None:
    graph = doubles
    task = task_of(graph)
    object.__setattr__(task, "train_data", data)
    with pytest.raises(TaskError) as caught:
        calibrate(graph, task)
    assert str(caught.value) == message


def test_an_unknown_observer_lists_the_known() -> None:
    graph, _ = ready("chain")
    with pytest.raises(TaskError, match="'best' is unknown; choose from minmax, percentile, mse, entropy"):
        calibrate(graph, task_of(graph), observer="best")  # type: ignore[arg-type]
