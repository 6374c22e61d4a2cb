"""Equalisation moves ranges between layers and leaves the function alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwaware.compression.quantize.equalise import equalised, pairs
from hwaware.graph.ir import Graph
from tests.compression.quantize.nets import SEVERAL, graph_of, images, ready, run


class Chain(nn.Sequential):
    """Plain, depthwise and grouped convolutions with all that may stand between, and dense layers behind."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, bias=False),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, groups=8),
            nn.LeakyReLU(0.2),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 12, 1, groups=4),
            nn.PReLU(12),
            nn.AvgPool2d(2),
            nn.Dropout(0.1),
            nn.Conv2d(12, 6, 1),
            nn.Flatten(),
            nn.Linear(6, 5),
            nn.ReLU(),
            nn.Linear(5, 4),
        )


def chain() -> Graph:
    """With channels of very different size, one of them dead."""
    torch.manual_seed(0)
    net = Chain()
    with torch.no_grad():
        net[6].weight.uniform_(0.1, 0.9)
        for layer in net:
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.mul_(torch.logspace(-2, 1, len(layer.weight)).reshape(-1, *[1] * (layer.weight.dim() - 1)))
        net[0].weight[3] = 0.0
    return graph_of(net, 3, 8, 8)


def ranges_of(graph: Graph, made: str, read: str, groups: int) -> tuple[Tensor, Tensor]:
    first = graph.tensors[made].flatten(1).abs().amax(1)
    weight = graph.tensors[read]
    parts = weight.reshape(groups, -1, weight.shape[1], weight[0, 0].numel()).abs().amax((1, 3))
    return first, parts.flatten()


def test_the_function_stays_and_ranges_are_equal() -> None:
    graph = chain()
    after = equalised(graph)
    x = images(5)
    wanted = run(graph, x)
    torch.testing.assert_close(run(after, x), wanted, atol=1e-4 * float(wanted.abs().max()), rtol=1e-4)
    joined = [("0.weight", "2.weight", 8), ("2.weight", "5.weight", 4), ("5.weight", "9.weight", 1)]
    joined.append(("11.weight", "13.weight", 1))
    assert [(pair.weight, pair.reader, pair.groups) for pair in pairs(graph)] == joined
    for made, read, groups in joined:
        first, second = ranges_of(after, made, read, groups)
        alive = first > 0
        torch.testing.assert_close(first[alive], second[alive], rtol=0.01, atol=0.0)
        assert float(ranges_of(graph, made, read, groups)[0].max() / first.max()) != pytest.approx(1.0, abs=0.01)


def test_a_dead_channel_keeps_its_weights() -> None:
    after = equalised(chain())
    assert not after.tensors["0.weight"][3].any()
    assert bool(torch.isfinite(after.tensors["2.weight"]).all())


@pytest.mark.parametrize("name", SEVERAL)
def test_whole_nets_compute_the_same(name: str) -> None:
    graph, _ = ready(name)
    x = images(3)
    torch.testing.assert_close(run(equalised(graph), x), run(graph, x), atol=1e-5, rtol=1e-4)


def test_what_is_not_homogeneous_or_has_other_readers_stays() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(nn.Conv2d(4, 4, 1) for _ in range(6))

        def forward(self, x: Tensor) -> Tensor:
            a, b, c, d, e, f = self.layers
            x = b(nn.functional.relu6(a(x)))
            x = d(torch.sigmoid(c(torch.tanh(x))))
            y = torch.relu(e(torch.relu(d(torch.sigmoid(x)))))  # d makes two values
            return f(y) + y  # and y has two readers

    graph = graph_of(Net(), 4, 5, 5)
    assert pairs(graph) == ()
    after = equalised(graph)
    assert all(torch.equal(after.tensors[name], tensor) for name, tensor in graph.tensors.items())
