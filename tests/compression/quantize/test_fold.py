"""BatchNorm disappears into the layer before it, and nothing else changes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hwaware.compression.quantize.fold import folded
from hwaware.graph.capture import capture_batched
from hwaware.graph.ops import BATCH_NORM
from tests.compression.quantize.nets import SEVERAL, images, run
from tests.graph.nets import captured


def norms(graph: object) -> int:
    return sum(node.op in BATCH_NORM for node in graph.nodes)  # type: ignore[attr-defined]


def shaken(module: nn.Module) -> nn.Module:
    """Statistics and scales that are not those of a fresh BatchNorm."""
    torch.manual_seed(1)
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            for tensor in (child.running_mean, child.running_var, child.weight, child.bias):
                if tensor is not None:
                    tensor.data.uniform_(0.5, 1.5)
    return module.eval()


@pytest.mark.parametrize("name", SEVERAL)
def test_the_function_stays(name: str) -> None:
    graph = captured(name)[0]
    x = images(3)
    torch.testing.assert_close(run(folded(graph), x), run(graph, x), atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.Conv2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6)), (4, 5, 5)),
        (nn.Sequential(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6, affine=False)), (4, 9)),
        (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), nn.BatchNorm2d(6)), (4, 5, 5)),
        (nn.Sequential(nn.ConvTranspose1d(4, 6, 3), nn.BatchNorm1d(6)), (4, 9)),
        (nn.Sequential(nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6)), (4,)),
    ],
)
def test_every_kind_of_layer_takes_it(module: nn.Module, shape: tuple[int, ...]) -> None:
    graph = capture_batched(shaken(module), (torch.zeros(2, *shape),))
    after = folded(graph)
    assert norms(graph) == 1
    assert norms(after) == 0
    assert sorted(after.tensors) == ["0.bias", "0.weight"]
    assert after.parameters == {"0.bias", "0.weight"}
    x = images(3, 0, shape)
    torch.testing.assert_close(run(after, x), run(graph, x), atol=1e-5, rtol=1e-5)


def test_others_stay() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
            self.second, self.other = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
            self.rows, self.last = nn.Linear(5, 5), nn.BatchNorm1d(4)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(torch.relu(self.first(x)))  # behind an activation
            y = self.second(x)
            z = (self.other(y) + y).mean(3)  # not the only reader
            return self.last(self.rows(z))  # normalises rows, not what the dense layer makes

    graph = capture_batched(shaken(Net()), (torch.zeros(2, 3, 5, 5),))
    after = folded(graph)
    assert norms(after) == 3
    assert after.nodes == graph.nodes
    assert after.tensors.keys() == graph.tensors.keys()


def test_a_shared_weight_is_folded_apart() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.one, self.two = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(self.two(self.conv(self.one(self.conv(x)))))

    net = shaken(Net())
    assert isinstance(net, Net)
    net.two.running_mean.add_(1.0)
    graph = capture_batched(net, (torch.zeros(2, 3, 4, 4),))
    x = images(3, 0, (3, 4, 4))
    after = folded(graph)
    assert norms(after) == 0
    torch.testing.assert_close(run(after, x), run(graph, x), atol=1e-5, rtol=1e-5)
