"""Training data with a teacher's answer beside every target, and the losses that listen to it."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn
from torch.nn import functional

from hwaware.compression.task import Task, blamed, evaluating, unpack
from hwaware.errors import TaskError

LossName: TypeAlias = Literal["task", "distillation", "both"]
_LOGITS = 2  # dimensions at least: samples and classes
Distance: TypeAlias = Callable[[Any, Any], Tensor]  # of the student's output from the teacher's: a scalar


def divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """Kullback-Leibler divergence of class probabilities, mean over samples and positions, times temperature².

    Both hold logits with the classes in dimension 1 (Hinton et al. 2015, arXiv:1503.02531, section 2).
    """
    log_p = functional.log_softmax(teacher / temperature, 1)
    log_q = functional.log_softmax(student / temperature, 1)
    return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(1).mean()


def squared(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference, for outputs that are not logits."""
    return functional.mse_loss(student, teacher)


def moved(student: Any, teacher: Any) -> Tensor:
    """`divergence` of what can be logits, `squared` of other tensors. Raises TaskError for anything else."""
    if not isinstance(student, Tensor):
        raise TaskError("outputs that are no single tensor cannot be compared with a teacher's")
    logits = student.dim() >= _LOGITS and student.shape[1] > 1
    return divergence(student, teacher) if logits else squared(student, teacher)


class Taught:
    """`task`'s training batches as (input, (target, the teacher's output)); all else is the data's own."""

    def __init__(self, task: Task, teacher: nn.Module) -> None:
        self._task, self._teacher, self._data = task, teacher, task.train_data

    def __iter__(self) -> Iterator[tuple[Any, tuple[Any, Any]]]:
        for index, batch in enumerate(self._data):
            inputs, target = unpack(self._task, batch, "train_data")
            with evaluating(self._teacher), blamed(f"{self._task.label}: training batch {index}: the teacher"):
                answer = self._teacher(*inputs)
            yield inputs, (target, answer)

    def __length_hint__(self) -> int:
        return operator.length_hint(self._data, 0)

    def __getattr__(self, name: str) -> Any:
        # `set_epoch` and `generator`, where the data has them.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._data, name)


def taught(task: Task, teacher: nn.Module, loss: LossName, distance: Distance = divergence) -> Task:
    """`task` as it is for the loss "task"; else with the distance from the teacher as, or added to, its loss.

    With "distillation" targets are not looked at. A training loop of the user's own knows no teacher: it is left out.
    Raises TaskError for another loss.
    """
    if loss == "task":
        return task
    if loss not in ("distillation", "both"):
        raise TaskError(f"the loss {loss!r} is unknown; choose from task, distillation, both")

    def both(output: Any, answers: tuple[Any, Any]) -> Tensor:
        return task.loss(output, answers[0]) + distance(output, answers[1])

    def alone(output: Any, answers: tuple[Any, Any]) -> Tensor:
        return distance(output, answers[1])

    def metric(output: Any, answers: tuple[Any, Any]) -> float:
        return task.metric(output, answers[0])

    data: Iterable[tuple[Any, Any]] = Taught(task, teacher)
    chosen = both if loss == "both" else alone
    return replace(task, train_data=data, loss=chosen, metric=metric, fit=None)
