"""Training by a loop of the user's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from hwaware.compression.epoch import AfterStep
from hwaware.compression.task import ExtraLoss, Task, blamed, check_weights
from hwaware.errors import ModelError, TaskError


def own_fit(
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
