"""The Gram matrix of unfolded inputs, against a layer's own arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from hwaware.compression.codebook import gram as module
from hwaware.compression.codebook.coded import blocks_of
from hwaware.compression.codebook.gram import gram, metric
from hwaware.compression.codebook.layers import Layer, found
from hwaware.errors import TaskError
from hwaware.graph.capture import capture_batched
from tests.compression.codebook.nets import images

LAYERS: list[tuple[nn.Module, tuple[int, ...], int]] = [
    (nn.Conv2d(4, 6, 3, stride=2, padding=1, dilation=2, bias=False), (4, 9, 8), 36),
    (nn.Conv2d(4, 8, (3, 2), stride=(1, 3), padding=(0, 1), bias=False), (4, 9, 8), 24),
    (nn.Conv1d(4, 6, 3, stride=2, padding=1, bias=False), (4, 9), 12),
    (nn.Conv2d(4, 6, 1, bias=False), (4, 5, 5), 4),
    (nn.Linear(4, 5, bias=False), (3, 4), 4),
]


def layer_of(net: nn.Module, shape: tuple[int, ...]) -> Layer:
    graph = capture_batched(nn.Sequential(net).eval(), (torch.zeros(2, *shape),))
    return found(graph, first=True).layers[0]


@pytest.mark.parametrize(("net", "shape", "row"), LAYERS)
def test_with_a_row_a_block_the_metric_is_the_squared_error_of_the_outputs(
    net: nn.Module, shape: tuple[int, ...], row: int
) -> None:
    layer = layer_of(net, shape)
    batches = [images(3, 0, shape), images(2, 1, shape)]
    weight = net.get_parameter("weight").detach()
    v = blocks_of(weight, row).double()
    found = torch.einsum("nd,de,ne->", v, gram(layer, batches, row), v)
    with torch.no_grad():
        outputs = [net(batch) for batch in batches]
    rows = sum(out.numel() for out in outputs) / len(v)
    torch.testing.assert_close(found * rows, sum(out.double().square().sum() for out in outputs), rtol=1e-5, atol=0)


def test_batches_and_parts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = layer_of(nn.Conv2d(4, 6, 3, padding=1), (4, 6, 6))
    x = images(8, 0, (4, 6, 6))
    whole = gram(layer, [x], 9)
    torch.testing.assert_close(gram(layer, [x[:3], x[3:]], 9), whole, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(module, "CHUNK", 1)
    torch.testing.assert_close(gram(layer, [x], 9), whole, rtol=1e-5, atol=1e-6)


def test_nothing_to_calibrate_with_is_one_line() -> None:
    with pytest.raises(TaskError, match=r"^linear: no calibration data; give at least one batch of inputs$"):
        gram(layer_of(nn.Linear(4, 5), (4,)), [], 4)


def test_activations_that_are_not_finite_are_one_line() -> None:
    with pytest.raises(TaskError, match=r"^linear: the activations that it reads hold NaN or infinity"):
        gram(layer_of(nn.Linear(4, 5), (4,)), [torch.tensor([[1.0, torch.nan, 0, 0]])], 4)


def test_dead_inputs_leave_plain_k_means() -> None:
    assert torch.equal(metric(torch.zeros(3, 3)), torch.eye(3))
    assert torch.linalg.matrix_rank(metric(torch.ones(3, 3).double())) == 3
