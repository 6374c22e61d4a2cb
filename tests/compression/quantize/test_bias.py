"""Bias correction takes the mean of the error away."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwaware.compression.quantize.bias import corrected
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import everywhere
from hwaware.compression.quantize.rewrite import quantized
from hwaware.errors import TaskError
from hwaware.graph.ir import Graph
from tests.compression.quantize.nets import graph_of, images, ready, run, task_of


def mean_error(graph: Graph, other: Graph, x: Tensor) -> float:
    error = run(other, x) - run(graph, x)
    return float(error.movedim(1, -1).flatten(0, -2).mean(0).abs().mean())


@pytest.mark.parametrize("name", ["chain", "residual", "inverted", "unet", "one_dimensional"])
def test_mean_outputs_are_those_of_the_float_net(name: str) -> None:
    graph, ranges = ready(name)
    choices = everywhere(graph, "weight4")
    batches = [images(32, seed) for seed in (5, 6)]
    after = corrected(graph, task_of(graph, batches), choices, ranges)
    before = quantized(graph, choices, ranges)
    seen, unseen = torch.cat(batches), images(64, 7)
    assert mean_error(graph, quantized(after, choices, ranges), seen) < 0.1 * mean_error(graph, before, seen)
    assert mean_error(graph, quantized(after, choices, ranges), unseen) < 0.7 * mean_error(graph, before, unseen)


def test_integers_are_corrected_for_clipping_too() -> None:
    torch.manual_seed(0)
    graph = graph_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)), 3, 8, 8)
    task = task_of(graph)
    ranges = calibrate(graph, task, observer="minmax")
    narrow = {name: levels._replace(scale=levels.scale / 2) for name, levels in ranges.items()}
    choices = everywhere(graph, "int8")
    x = torch.cat([batch for batch, _ in task.train_data])
    before, after = (quantized(g, choices, narrow) for g in (graph, corrected(graph, task, choices, narrow)))
    assert mean_error(graph, after, x) < 0.05 * mean_error(graph, before, x)


def test_layers_get_biases_of_their_own() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(torch.relu(self.two(torch.relu(self.one(x)))))

    torch.manual_seed(0)
    graph = graph_of(Shared(), 3, 6, 6)
    task = task_of(graph)
    ranges = calibrate(graph, task, observer="minmax")
    after = corrected(graph, task, everywhere(graph, "int8"), ranges)
    assert {name for name in after.tensors if "bias" in name} == {"one.bias", "two.bias", "two.bias_1"}
    # The first layer's name is taken by none other: the graph is still one that trains.
    assert after.parameters == after.tensors.keys()
    torch.testing.assert_close(
        run(after, images(2, 0, (3, 6, 6))), run(graph, images(2, 0, (3, 6, 6))), atol=0.1, rtol=0
    )


def test_layers_that_stay_float_keep_theirs() -> None:
    graph, ranges = ready("residual")
    after = corrected(graph, task_of(graph), {"conv2d_3": "int8"}, ranges)
    changed = {name for name, tensor in graph.tensors.items() if not torch.equal(after.tensors[name], tensor)}
    assert changed == {"two.first.0.bias"}


def test_empty_data_is_one_clear_line() -> None:
    graph, ranges = ready("chain")
    task = task_of(graph)
    object.__setattr__(task, "train_data", [])
    with pytest.raises(TaskError, match=r"^task toy: train_data is empty: calibration needs at least one batch"):
        corrected(graph, task, everywhere(graph, "int8"), ranges)
