"""The optimisers that training knows, and the course of their learning rate."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from hwaware.compression.task import Task
from hwaware.errors import TaskError

OptimizerName = Literal["sgd", "adamw"]

WARM_UP = 0.1  # share of the training in which the learning rate rises
START = 0.1  # share of the peak at which it starts


def make_optimizer(
    model: nn.Module, task: Task, kind: OptimizerName, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """The optimiser of the model's trainable parameters; vectors are spared the weight decay.

    Raises TaskError where there is nothing to train.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    if not weights:
        raise TaskError(f"{task.label}: the model has no parameter to train")
    groups = [
        {"params": [p for p in weights if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in weights if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if kind == "adamw":
        return torch.optim.AdamW(groups, lr=lr)
    return torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True)


def parameters_of(stepper: torch.optim.Optimizer) -> list[nn.Parameter]:
    """Its parameters in the order in which it numbers them."""
    return [p for group in stepper.param_groups for p in group["params"]]


def learning_rate(progress: float, peak: float) -> float:
    """Rate at `progress` (0 to 1 of all steps): a straight rise to `peak`, then half a cosine down to 0."""
    if progress < WARM_UP:
        return peak * (START + (1 - START) * progress / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def set_rate(stepper: torch.optim.Optimizer, rate: float) -> None:
    """Make `rate` the learning rate of every group."""
    for group in stepper.param_groups:
        group["lr"] = rate
