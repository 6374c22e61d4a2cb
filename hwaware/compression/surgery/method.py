"""Surgery as a whole: a trained net in, the same net with few connections out."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from hwaware.compression.checkpoint import Checkpoint
from hwaware.compression.surgery.control import Control, Target, target_of
from hwaware.compression.surgery.layers import layers
from hwaware.compression.surgery.surgeon import GAMMA, POWER, LayerReport, Surgeon
from hwaware.compression.task import Task
from hwaware.compression.train import fit
from hwaware.errors import TaskError

# Of all steps: then masks stay, and what is left is trained for the rest.
END = 0.7


@dataclass(frozen=True)
class Course:
    """How long it is trained and how: `lr` is the peak rate. Weights do not decay, as masked ones could not."""

    epochs: int
    lr: float
    seed: int = 0
    gamma: float = GAMMA
    power: float = POWER
    splicing: bool = True
    least: int = 10


def operate(
    model: nn.Module,
    task: Task,
    control: Control,
    course: Course,
    *,
    checkpoint: Checkpoint | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
) -> tuple[LayerReport, ...]:
    """Train `model` in place on the task's training data while `control` cuts and splices; a row for each layer.

    What was cut is exactly 0. With `checkpoint` an interrupted call goes on to the same weights. Guo, Yao, Chen 2016,
    arXiv:1608.04493, algorithm 1. Raises ModelError where nothing can be pruned, TaskError as of `fit`.
    """
    surgeon = Surgeon(
        model,
        control,
        gamma=course.gamma,
        power=course.power,
        splicing=course.splicing,
        least=course.least,
        seed=course.seed,
    )
    fit(
        model,
        task,
        epochs=course.epochs,
        lr=course.lr,
        seed=course.seed,
        weight_decay=0.0,
        after_step=surgeon.after_step,
        keep=[surgeon],
        checkpoint=checkpoint,
        on_epoch=on_epoch,
    )
    return surgeon.reports()


def for_times(model: nn.Module, task: Task, times: float, course: Course) -> Target:
    """The control that leaves `model` `times` fewer parameters. Raises ModelError, TaskError."""
    batches = operator.length_hint(task.train_data, 0)
    if not batches:
        raise TaskError(f"{task.label}: train_data has no length; surgery must know how many steps it has")
    pruned = sum(layer.count for layer in layers(model))
    whole = sum(parameter.numel() for parameter in model.parameters())
    return target_of(whole, pruned, times, max(1, round(END * batches * course.epochs)))
