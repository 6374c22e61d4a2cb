"""One epoch of training: a pass over the data, a step for every batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.compression.distributed import Processes
from hwaware.compression.optimiser import learning_rate, parameters_of, set_rate
from hwaware.compression.precision import Precision, for_metric
from hwaware.compression.randomness import OwnStream
from hwaware.compression.task import ExtraLoss, Task, blamed, unpack
from hwaware.errors import TaskError

AfterStep = Callable[[nn.Module], object]


@dataclass(frozen=True)
class Outcome:
    """Means over an epoch, of the task's loss by batches and of its metric by samples; its last rate and its steps."""

    loss: float
    metric: float
    lr: float
    batches: int


@dataclass(frozen=True)
class Course:
    """A training from its first epoch to its last: `lr` is the peak of the learning rate."""

    epochs: int
    lr: float
    seed: int
    with_metric: bool


@dataclass(frozen=True)
class Trainer:
    """What steps `model` along the data of `task`."""

    model: nn.Module
    task: Task
    stepper: torch.optim.Optimizer
    precision: Precision
    processes: Processes
    course: Course
    extra_loss: ExtraLoss | None
    after_step: AfterStep | None

    def run(self, epoch: int, batches: int) -> Outcome:
        """Train for epoch number `epoch`; an epoch has `batches` steps, 0 where that is not known yet.

        Raises TaskError when the loss is not finite, there is no data, or the user's code raises.
        """
        _set_epoch(self.task.train_data, self.course.seed * self.course.epochs + epoch)
        self.model.train()
        randomness = self._randomness(epoch)
        loss, metric, count, samples = 0.0, 0.0, 0, 0
        for inputs, target in self.processes.share(self._batches()):
            # Data without a length is counted in the first epoch, which keeps its first rate.
            done = epoch + min(count / batches, 1.0) if batches else epoch
            set_rate(self.stepper, learning_rate(done / self.course.epochs, self.course.lr))
            where = f"{self.task.label}: training, epoch {epoch}, batch {count}"
            value, output = self._step(where, inputs, target, randomness)
            loss += value
            count += 1
            if self.course.with_metric:
                with blamed(f"{where}: the metric"):
                    metric += float(self.task.metric(for_metric(output), target)) * len(inputs[0])
                samples += len(inputs[0])
        self.processes.average_buffers(self.model)
        losses, counts, metrics, sizes = self.processes.total([loss, count, metric, samples], self._device)
        if counts == 0:
            few = f"fewer batches than the {self.processes.count} processes that train"
            what = "is empty" if self.processes.count == 1 else f"has {few}"
            raise TaskError(f"{self.task.label}: train_data {what}")
        rate = float(self.stepper.param_groups[0]["lr"])
        return Outcome(losses / counts, metrics / sizes if sizes else math.nan, rate, count)

    def _step(
        self,
        where: str,
        inputs: tuple[Tensor, ...],
        target: Any,
        randomness: Callable[[], AbstractContextManager[None]],
    ) -> tuple[float, Any]:
        """One step; the task's loss before it, and the model's output."""
        with blamed(f"{where}: the model or the loss"), randomness(), self.precision.forward():
            output = self.model(*inputs)
            loss = self.task.loss(output, target)
        whole = loss if self.extra_loss is None else loss + self.extra_loss(self.model)
        value = loss.item()
        _require_finite(where, value, whole.item(), self.course.lr)
        self.stepper.zero_grad()
        self.precision.backward(whole)
        # While they are still scaled: an overflow in one process must reach all of them.
        self.processes.average_gradients(parameters_of(self.stepper))
        self.precision.step(self.stepper)
        if self.after_step is not None:
            self.after_step(self.model)
        return value, output

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    def _randomness(self, epoch: int) -> Callable[[], AbstractContextManager[None]]:
        """What the model draws from: other dropout in each of several processes, which read the same data."""
        if self.processes.count == 1:
            return nullcontext
        number = (self.course.seed * self.course.epochs + epoch) * self.processes.count + self.processes.rank
        return OwnStream(number * 1_000_003 % 2**63, self._device).drawn

    def _batches(self) -> Iterator[tuple[tuple[Tensor, ...], Any]]:
        """The training batches, on the model's device."""
        device = self._device
        for batch in self.task.train_data:
            inputs, target = unpack(self.task, batch, "train_data")
            yield tuple(x.to(device) for x in inputs), target.to(device) if isinstance(target, Tensor) else target


def _require_finite(where: str, loss: float, whole: float, peak: float) -> None:
    if math.isfinite(whole):
        return
    if math.isfinite(loss):
        raise TaskError(f"{where}: the extra loss term became {whole}; lower its strength")
    raise TaskError(f"{where}: the loss became {loss}; lower the learning rate (its peak is {peak:g})")


def _set_epoch(data: object, epoch: int) -> None:
    """Tell data that shuffles by epoch which one this is (the convention of torch's distributed samplers)."""
    setter = getattr(data, "set_epoch", None)
    if callable(setter):
        setter(epoch)
