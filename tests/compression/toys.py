"""A task that small nets learn in seconds: which quadrant of a noisy image is bright."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch
from torch import Tensor, nn

from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.costs.table import CostTable
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.model import GraphModel
from hwaware.zoo.batches import Batches
from tests.compression.morphnets import EXAMPLE, Residual
from tests.compression.tables import table_of


def images(count: int, seed: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    x = 0.7 * torch.randn(count, 3, 8, 8, generator=random)
    y = torch.randint(0, 4, (count,), generator=random)
    for image, label in zip(x, y.tolist(), strict=True):
        image[:, 4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 0.8
    return x, y


def accuracy(output: Tensor, target: Tensor) -> float:
    return (output.argmax(1) == target).float().mean().item()


class Quadrants(Residual):
    """`Residual` with places told apart: its head is dense over a 2×2 map."""

    def __init__(self) -> None:
        super().__init__()
        self.pool, self.fc = nn.AdaptiveAvgPool2d(2), nn.Linear(16 * 4, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.second(torch.relu(self.first(x))))
        x = torch.relu(x + self.itself(x))
        out: Tensor = self.fc(self.pool(x).flatten(1))
        return out


@functools.cache
def trained() -> Task:
    """The task with a trained `Quadrants`; nobody may change it."""
    torch.manual_seed(0)
    task = Task(
        model=Quadrants(),
        example_inputs=EXAMPLE,
        train_data=Batches(*images(512, 1), 64, seed=0),
        eval_data=Batches(*images(400, 2), 100),
        loss=nn.functional.cross_entropy,
        metric=accuracy,
        name="quadrants",
    )
    fit(task.model, task, epochs=6, lr=0.1)
    return task


@functools.cache
def captured() -> Task:
    """`trained` as the graph that every compression of it begins with; nobody may change it."""
    task = trained()
    model = GraphModel(capture_batched(task.model, EXAMPLE), EXAMPLE).eval()
    made: Task = replace(task, model=model)
    return made


@functools.cache
def table() -> CostTable:
    """A table for it."""
    return table_of(capture(trained().model, EXAMPLE))
