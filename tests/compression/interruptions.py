"""Trainings that can be interrupted, with an object whose state counts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.task import Task
from hwaware.compression.train import fit

EPOCHS = 4


class Fader:
    """An object that acts on the weights by what it remembers, as a shrinker does."""

    def __init__(self) -> None:
        self.steps = 0
        self.mean = torch.zeros(16)
        self.history: list[dict[str, Any]] = []

    def extra_loss(self, module: nn.Module) -> Tensor:
        assert isinstance(module, nn.Sequential)
        return 1e-3 * self.steps * (module[1].weight * self.mean).abs().sum() / 32

    def after_step(self, module: nn.Module) -> None:
        assert isinstance(module, nn.Sequential)
        self.steps += 1
        self.mean = 0.9 * self.mean + 0.1 * module[1].weight.detach()
        self.history.append({"step": self.steps, "rate": 1 / self.steps})

    def state(self) -> dict[str, Any]:
        return {"steps": self.steps, "means": [{"mean": self.mean}], "history": self.history, "note": None}

    def restore(self, state: dict[str, Any]) -> None:
        self.steps, self.mean, self.history = state["steps"], state["means"][0]["mean"], state["history"]


def run(circle: Task, checkpoint: Checkpoint | None = None, **changes: Any) -> tuple[nn.Module, Fader]:
    """A fresh model, trained; `stop` is called with the number of the step behind every step."""
    fader, trained = Fader(), copy.deepcopy(circle.model)
    stop: Callable[[int], None] = changes.pop("stop", lambda step: None)

    def after_step(module: nn.Module) -> None:
        fader.after_step(module)
        stop(fader.steps)

    arguments: dict[str, Any] = {"epochs": EPOCHS, "lr": 0.1, "extra_loss": fader.extra_loss, "after_step": after_step}
    fit(trained, circle, **{**arguments, "keep": [fader], **changes}, checkpoint=checkpoint)
    return trained, fader


def interrupt(at: int) -> Callable[[int], None]:
    def stop(step: int) -> None:
        if step == at:
            raise KeyboardInterrupt

    return stop


def assert_same(one: tuple[nn.Module, Fader], other: tuple[nn.Module, Fader]) -> None:
    first, second = one[0].state_dict(), other[0].state_dict()
    assert first.keys() == second.keys()
    for name in first:
        assert torch.equal(first[name], second[name]), name
    assert one[1].steps == other[1].steps
    assert one[1].history == other[1].history
    assert torch.equal(one[1].mean, other[1].mean)
