"""A net without BatchNorm, with LayerNorm and attention: its heads and hidden channels shrink as others' do."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hwaware.compression.budget import Budget
from hwaware.compression.compress import compress
from hwaware.compression.prepare import Selection
from hwaware.compression.search import Options
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.costs.table import CostTable
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.model import GraphModel
from hwaware.zoo.batches import Batches
from tests.compression.tables import table_of
from tests.compression.toys import accuracy, images

HEADS, WIDTH, HIDDEN = 4, 24, 48


class Patches(nn.Module):
    """One block of a vision transformer over 16 patches of 2×2 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(12, WIDTH)
        self.place = nn.Parameter(0.1 * torch.randn(16, WIDTH))
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.head = nn.Linear(WIDTH, 4)

    def forward(self, x: Tensor) -> Tensor:
        patches = F.pixel_unshuffle(x, 2).flatten(2).transpose(1, 2)
        x = self.embed(patches) + self.place
        q, k, v = (
            part.unflatten(2, (HEADS, WIDTH // HEADS)).transpose(1, 2)
            for part in self.qkv(self.before(x)).chunk(3, dim=2)
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        x = x + self.down(F.gelu(self.up(self.between(x))))
        out: Tensor = self.head(x.mean(1))
        return out


@functools.cache
def task() -> Task:
    """Trained; nobody may change it."""
    torch.manual_seed(0)
    made = Task(
        model=Patches(),
        example_inputs=(torch.randn(1, 3, 8, 8),),
        train_data=Batches(*images(512, 1), 64, seed=0),
        eval_data=Batches(*images(400, 2), 100),
        loss=nn.functional.cross_entropy,
        metric=accuracy,
        name="patches",
    )
    fit(made.model, made, epochs=20, lr=0.005, optimizer="adamw")
    graph = capture_batched(made.model, made.example_inputs)
    return replace(made, model=GraphModel(graph, made.example_inputs).eval())


@functools.cache
def table() -> CostTable:
    return table_of(capture(task().model, task().example_inputs))


@pytest.mark.parametrize(("method", "kind"), [("morphnet", "auto"), ("halp", "auto"), ("morphnet", "gate")])
def test_heads_and_hidden_channels_shrink(method: str, kind: str) -> None:
    result = compress(
        task(), table(), Budget(flops="60%"), method=method, options=Options(Selection(kind)), epochs=5, lr=0.02
    )
    widths = {group.name: (group.before, group.after) for group in result.plan.groups}
    assert widths["qkv"][0] == HEADS
    assert widths["up"][0] == HIDDEN
    assert any(after < before for before, after in widths.values())
    assert result.plan.after.flops <= result.plan.limits["flops"]
    assert result.metric >= result.baseline_metric - 0.1
    assert "layer norm" in result.plan.fixed["embed"]
