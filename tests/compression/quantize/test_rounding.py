"""Learned rounding does better than the nearest levels, within the same bounds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.choices import Precision, everywhere
from hwaware.compression.quantize.patches import sampled
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.quantize.rounding import Rounding, rounded
from hwaware.compression.quantize.weights import format_of, rows_of
from hwaware.graph.ir import Graph
from tests.compression.quantize.nets import graph_of, images, run, task_of

QUICK = Rounding(steps=150, rows=128)


def smooth(count: int, seed: int) -> Tensor:
    """Images whose pixels are like their neighbours: errors of weights that add up can be made to cancel."""
    return 3 * functional.avg_pool2d(images(count, seed, (3, 12, 12)), 5, 1) + 0.5


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 12, 3, padding=1, stride=2),
        nn.ReLU(),
        nn.Conv2d(12, 12, 3, groups=12, padding=1, bias=False),
        nn.ReLU(),
        nn.Conv2d(12, 16, 1, groups=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(256, 10),
    )


@pytest.fixture(scope="module")
def graph() -> Graph:
    return graph_of(net(), 3, 8, 8)


@pytest.mark.parametrize("precision", ["int8", "int8p", "weight8", "weight4"])
def test_outputs_of_unseen_images_are_closer_than_with_the_nearest_levels(graph: Graph, precision: Precision) -> None:
    task = task_of(graph, [smooth(32, seed) for seed in (1, 2)])
    ranges = calibrate(graph, task, observer="minmax")
    choices = everywhere(graph, precision)
    found = rounded(graph, task, choices, ranges, how=QUICK)
    x = smooth(64, 9)
    wanted = run(graph, x)

    def error(after: Graph) -> float:
        return float((run(after, x) - wanted).square().mean())

    ours = quantized(found.graph, choices, ranges, scales=found.scales)
    nearest = quantized(graph, choices, ranges, scales=found.scales)
    # Rounding of activations, which nothing of this touches, is most of the error with 8 bits.
    assert error(ours) < (0.6 if precision.startswith("weight") else 0.9) * error(nearest)
    # Each weight took the level above or below it.
    for node in graph.nodes:
        if node.name in choices:
            weight, moved = (g.tensors[node.args["weight"].name] for g in (graph, found.graph))  # type: ignore[union-attr]
            form = format_of(precision)
            ticks = form.spread(found.scales[node.name], weight[0].numel())
            levels = rows_of(moved) / ticks
            torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
            assert float((levels - form.nearest(rows_of(weight) / ticks)).abs().max()) <= 1.0001
            if precision == "int8p":
                size = levels.round().abs().numpy()
                assert (size[:, 1:] + size[:, :-1]).max(initial=0) <= 128


def test_the_levels_are_those_that_are_written(graph: Graph) -> None:
    task = task_of(graph)
    ranges = calibrate(graph, task, observer="minmax")
    choices = everywhere(graph, "int8p")
    found = rounded(graph, task, choices, ranges, how=Rounding(steps=30))
    after = quantized(found.graph, choices, ranges, scales=found.scales)
    levels = after.tensors["0.weight"]
    scale = found.scales["conv2d"].reshape(-1, 1, 1, 1)
    torch.testing.assert_close(levels * scale, found.graph.tensors["0.weight"], rtol=1e-6, atol=0)


def test_it_is_a_function_of_the_seed(graph: Graph) -> None:
    task = task_of(graph)
    ranges = calibrate(graph, task, observer="minmax")
    one, two = (rounded(graph, task, {"linear": "weight4"}, ranges, how=Rounding(steps=20)) for _ in range(2))
    assert torch.equal(one.graph.tensors["7.weight"], two.graph.tensors["7.weight"])
    assert torch.equal(one.graph.tensors["0.weight"], graph.tensors["0.weight"])


LAYERS: list[tuple[nn.Module, tuple[int, ...]]] = [
    (nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, groups=2), (4, 9, 8)),
    (nn.Conv2d(4, 8, (3, 2), stride=(1, 3), padding=(0, 1), groups=4), (4, 9, 8)),
    (nn.Conv1d(4, 6, 3, stride=2, padding=1), (4, 9)),
    (nn.Linear(4, 5), (3, 4)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_rows_make_what_the_layer_makes(layer: nn.Module, shape: tuple[int, ...]) -> None:
    graph = graph_of(nn.Sequential(layer), *shape)
    (node,) = graph.nodes
    weight, bias = graph.tensors["0.weight"], graph.tensors["0.bias"]
    x = [images(3, 0, shape), images(2, 1, shape)]
    random = torch.Generator().manual_seed(0)
    rows = sampled(node, tuple(weight.shape[2:]), x, [run(graph, batch) for batch in x], 1 << 30, random)
    torch.testing.assert_close(rows.predicted(weight, bias, slice(None)), rows.outputs, atol=1e-5, rtol=1e-5)
    per_sample = run(graph, x[0])[0].numel() // len(bias)
    assert len(rows.inputs) == 5 * per_sample
    # A fifth of the memory holds a fifth of them, of every sample alike.
    held = 4 * (rows.inputs.numel() + rows.outputs.numel())
    few = sampled(node, tuple(weight.shape[2:]), x, [run(graph, batch) for batch in x], held // 3, random)
    assert len(few.inputs) == 5 * max(1, per_sample // 3)
    assert np.prod(few.inputs.shape) + np.prod(few.outputs.shape) <= held // 4
