"""Channels are last in memory only while a net trains, and nobody else needs to know."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hwaware.compression import epoch
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel


def squares(output: Tensor, target: Tensor) -> Tensor:
    """A loss of maps that are viewed as rows, as users write it."""
    return (output.view(len(output), -1) - target.view(len(target), -1)).square().mean()


def pixels(model: nn.Module | None = None) -> Task:
    """Maps of four channels from images of three."""
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3))
    images, maps = torch.randn(24, 3, 7, 7), torch.randn(24, 4, 5, 5)
    batches = [(images[start : start + 8], maps[start : start + 8]) for start in range(0, 24, 8)]
    net = model or GraphModel(capture_batched(inner, (images[:2],)), (images[:2],))
    return Task(net, (images[:2],), batches, batches, squares, lambda out, target: 0.0, name="pixels")


def filters(model: nn.Module) -> list[Tensor]:
    return [p for p in model.parameters() if p.dim() == 4]


def is_last(tensor: Tensor) -> bool:
    return tensor.is_contiguous(memory_format=torch.channels_last) and not tensor.is_contiguous()


def test_filters_are_as_they_were_once_it_is_trained() -> None:
    task = pixels()
    seen: list[bool] = []
    fit(task.model, task, epochs=1, lr=0.1, after_step=lambda m: seen.extend(is_last(p) for p in filters(m)))
    assert len(seen) == 6
    assert all(seen)
    assert all(p.is_contiguous() and not is_last(p) for p in filters(task.model))


def test_filters_are_as_they_were_where_training_failed() -> None:
    task = pixels()

    def stop(_: nn.Module) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(task.model, task, epochs=1, lr=0.1, after_step=stop)
    assert all(p.is_contiguous() for p in filters(task.model))


def test_it_learns_what_it_learns_without(monkeypatch: pytest.MonkeyPatch) -> None:
    found = pixels()
    fit(found.model, found, epochs=2, lr=0.1)
    monkeypatch.setattr(epoch, "laid", lambda x, layout: x)
    monkeypatch.setattr("hwaware.compression.channels_last._lay", lambda tensors, layout: None)
    wanted = pixels()
    fit(wanted.model, wanted, epochs=2, lr=0.1)
    for one, other in zip(found.model.parameters(), wanted.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


class Viewing(nn.Module):
    """Somebody's net: what is in rows must be viewable."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor) -> Any:
        y = self.body(x)
        return y.view(len(y), -1).view(y.shape)


def test_other_modules_are_left_alone() -> None:
    task = pixels(Viewing())
    fit(task.model, task, epochs=1, lr=0.1, after_step=lambda m: _require(not is_last(filters(m)[0])))


def _require(condition: bool) -> None:
    assert condition
