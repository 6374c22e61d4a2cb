"""Small nets and tasks without labels to code."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hwaware.compression.task import Task
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

SHAPE = (3, 8, 8)


CLASSES = 10


def images(count: int, seed: int = 0, shape: tuple[int, ...] = SHAPE) -> Tensor:
    """Noisy pictures of ten things, one after the other, in which neighbours are alike."""
    things = torch.randn(CLASSES, *shape, generator=torch.Generator().manual_seed(12345)).cumsum(-1) / 2
    noise = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
    return things[torch.arange(count) % CLASSES] + noise


class Net(nn.Module):
    """A stem, a residual block with BatchNorm, a 1×1 and a grouped convolution, two dense layers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.conv1 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(16)
        self.point = nn.Conv2d(16, 32, 1)
        self.grouped = nn.Conv2d(32, 32, 3, stride=2, padding=1, groups=2)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.fc1 = nn.Linear(512, 24)
        self.fc2 = nn.Linear(24, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).relu()
        x = (self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + x).relu()
        x = self.depthwise(self.grouped(self.point(x).relu()).relu()).relu()
        out: Tensor = self.fc2(self.fc1(x.flatten(1)).relu())
        return out


@cache
def net() -> Graph:
    """`Net`, trained a little to tell the ten things; nobody may change it."""
    torch.manual_seed(0)
    module = Net()
    stepper = torch.optim.Adam(module.parameters(), lr=2e-3)
    for seed in range(40):
        x = images(40, 1000 + seed)
        loss = functional.cross_entropy(module(x), torch.arange(40) % CLASSES)
        stepper.zero_grad()
        loss.backward()
        stepper.step()
    return capture_batched(module.eval(), (images(2),))


def task_of(graph: Graph, batches: list[Any] | None = None) -> Task:
    """Batches of inputs beside targets that nobody may look at."""
    data = [(batch, None) for batch in (batches or [images(16, seed) for seed in range(1, 6)])]
    return Task(GraphModel(graph), (images(2),), data, data, _unused, _unused, name="toy")


def _unused(output: Any, target: Any) -> Any:
    raise AssertionError("coding asked for a label")


def run(graph: Graph, x: Tensor) -> Tensor:
    """The graph's output, in evaluation mode."""
    with torch.no_grad():
        output: Tensor = GraphModel(graph).eval()(x)
    return output
