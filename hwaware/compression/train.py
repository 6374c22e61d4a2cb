"""Training a task's model, plain or with an extra loss term (a regulariser that prunes)."""

from __future__ import annotations

import math
import operator
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from hwaware.compression.task import ExtraLoss, Task, blamed, check_weights, unpack
from hwaware.errors import ModelError, TaskError

AfterStep = Callable[[nn.Module], object]
OptimizerName = Literal["sgd", "adamw"]

WARM_UP = 0.1  # share of the training in which the learning rate rises
START = 0.1  # share of the peak at which it starts


def fit(
    model: nn.Module,
    task: Task,
    *,
    epochs: int,
    lr: float,
    extra_loss: ExtraLoss | None = None,
    after_step: AfterStep | None = None,
    on_epoch: Callable[[int, dict[str, float]], object] | None = None,
    seed: int = 0,
    weight_decay: float = 1e-4,
    optimizer: OptimizerName = "sgd",
) -> None:
    """Train `model` in place on the task's training data; it is left in eval mode.

    The learning rate warms up to `lr` and falls to 0 as half a cosine, step by step. Weight decay leaves
    vectors (biases, BatchNorm) alone: the pruning regularisers act on them. `extra_loss(model)` is added to
    each step's loss; `after_step(model)` is called behind every optimiser step; `on_epoch(epoch, {"loss",
    "lr", "seconds"})` behind every epoch, `loss` being the mean of the task's loss without the extra term.

    With the same number of threads the result is a function of `seed`: it sets torch's random numbers and,
    where the data has `set_epoch`, the order of the batches. The global random state is left as it was.

    A task with a `fit` of its own is trained by that alone: then only `extra_loss`, `after_step` and `seed`
    apply.

    Raises TaskError when the loss is not finite, there is nothing to train, or the user's code raises.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if task.fit is not None:
            _own_fit(task.fit, model, task, extra_loss, after_step)
            return
        stepper = _optimizer(model, task, optimizer, lr, weight_decay)
        batches = operator.length_hint(task.train_data, 0)
        for epoch in range(epochs):
            started = time.monotonic()
            _set_epoch(task.train_data, seed * epochs + epoch)
            model.train()
            total, count = 0.0, 0
            for inputs, target in _batches(task, model):
                # Data without a length is counted in the first epoch, which keeps its first rate.
                done = epoch + min(count / batches, 1.0) if batches else epoch
                _set_rate(stepper, learning_rate(done / epochs, lr))
                where = f"{task.label}: training, epoch {epoch}, batch {count}"
                with blamed(f"{where}: the model or the loss"):
                    loss = task.loss(model(*inputs), target)
                whole = loss if extra_loss is None else loss + extra_loss(model)
                _require_finite(where, loss.item(), whole.item(), lr)
                stepper.zero_grad()
                whole.backward()
                stepper.step()
                if after_step is not None:
                    after_step(model)
                total += loss.item()
                count += 1
            if count == 0:
                raise TaskError(f"{task.label}: train_data is empty")
            batches = count
            if on_epoch is not None:
                rate = float(stepper.param_groups[0]["lr"])
                on_epoch(epoch, {"loss": total / count, "lr": rate, "seconds": time.monotonic() - started})
        model.eval()


def learning_rate(progress: float, peak: float) -> float:
    """Rate at `progress` (0 to 1 of all steps): a straight rise to `peak`, then half a cosine down to 0."""
    if progress < WARM_UP:
        return peak * (START + (1 - START) * progress / WARM_UP)
    return peak * 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def _optimizer(
    model: nn.Module, task: Task, kind: OptimizerName, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
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


def _require_finite(where: str, loss: float, whole: float, peak: float) -> None:
    if math.isfinite(whole):
        return
    if math.isfinite(loss):
        raise TaskError(f"{where}: the extra loss term became {whole}; lower its strength")
    raise TaskError(f"{where}: the loss became {loss}; lower the learning rate (its peak is {peak:g})")


def _own_fit(
    own: Callable[[nn.Module, ExtraLoss], object],
    model: nn.Module,
    task: Task,
    extra_loss: ExtraLoss | None,
    after_step: AfterStep | None,
) -> None:
    """Let the user's loop train; `after_step` follows each step of whatever optimiser it uses."""
    with _after_every_step(model, after_step), blamed(f"{task.label}: its own fit"):
        own(model, extra_loss or _no_extra_loss)
    try:
        check_weights(model)
    except ModelError as error:
        raise TaskError(f"{task.label}: its own fit diverged: {error}") from error
    model.eval()


@contextmanager
def _after_every_step(model: nn.Module, after_step: AfterStep | None) -> Iterator[None]:
    if after_step is None:
        yield
        return

    def hook(stepper: torch.optim.Optimizer, args: object, kwargs: object) -> None:
        after_step(model)

    handle = register_optimizer_step_post_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _no_extra_loss(model: nn.Module) -> Tensor:
    """A term of zero on the model's device, so that a user's loop needs no case without one."""
    return next(model.parameters()).new_zeros(())


def _batches(task: Task, model: nn.Module) -> Iterator[tuple[tuple[Tensor, ...], Any]]:
    """The training batches, on the model's device."""
    device = next(model.parameters()).device
    for batch in task.train_data:
        inputs, target = unpack(task, batch, "train_data")
        yield tuple(x.to(device) for x in inputs), target.to(device) if isinstance(target, Tensor) else target


def _set_epoch(data: object, epoch: int) -> None:
    """Tell data that shuffles by epoch which one this is (the convention of torch's distributed samplers)."""
    setter = getattr(data, "set_epoch", None)
    if callable(setter):
        setter(epoch)


def _set_rate(stepper: torch.optim.Optimizer, rate: float) -> None:
    for group in stepper.param_groups:
        group["lr"] = rate
