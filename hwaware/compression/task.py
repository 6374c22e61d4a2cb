"""A task: a model, the data it learns from, and the number that says how good it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.errors import HwawareError, ModelError, TaskError

ExtraLoss = Callable[[nn.Module], Tensor]


@dataclass(frozen=True)
class Task:
    """What compression needs to know about a model's purpose.

    Batches are `(input, target)` pairs: the input a tensor or a tuple of tensors whose first dimension counts
    the samples, the target whatever `loss` and `metric` take. Both data sets are iterated many times: pass
    a list or a `DataLoader`, not a generator.

    Raises TaskError where a field is of the wrong kind; `check` looks into the data and the weights.
    """

    model: nn.Module
    example_inputs: tuple[Tensor, ...]
    train_data: Iterable[tuple[Any, Any]]
    eval_data: Iterable[tuple[Any, Any]]
    loss: Callable[[Any, Any], Tensor]  # loss(output, target): a scalar tensor to minimise
    metric: Callable[[Any, Any], float]  # metric(output, target) of one batch; higher is better
    # A training loop of the user's own: fit(model, extra_loss) trains `model` in place and adds the scalar
    # tensor `extra_loss(model)` to the loss of each step.
    fit: Callable[[nn.Module, ExtraLoss], object] | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise TaskError(self._wrong("model", "a torch.nn.Module", self.model))
        inputs = self.example_inputs
        if not (isinstance(inputs, tuple) and inputs and all(isinstance(x, Tensor) for x in inputs)):
            raise TaskError(self._wrong("example_inputs", "a non-empty tuple of tensors", inputs))
        for field in ("train_data", "eval_data"):
            data = getattr(self, field)
            if isinstance(data, Iterator):
                wanted = "iterable more than once: a list or a DataLoader"
                raise TaskError(self._wrong(field, wanted, data))
            if not isinstance(data, Iterable):
                raise TaskError(self._wrong(field, "an iterable of (input, target) batches", data))
        for field in ("loss", "metric"):
            if not callable(getattr(self, field)):
                raise TaskError(self._wrong(field, "a callable of (output, target)", getattr(self, field)))
        if self.fit is not None and not callable(self.fit):
            raise TaskError(self._wrong("fit", "a callable of (model, extra_loss)", self.fit))

    def _wrong(self, field: str, wanted: str, got: object) -> str:
        return f"{self.label}: {field} must be {wanted}, not {type(got).__name__}"

    @property
    def label(self) -> str:
        """How messages call this task."""
        return f"task {self.name}" if self.name else "the task"


def check(task: Task) -> None:
    """Look at the weights and at the first batch of both data sets, before hours are spent on them.

    Raises ModelError for weights that are not finite, TaskError for data that is empty or not in batches.
    """
    check_weights(task.model)
    for field in ("train_data", "eval_data"):
        for batch in getattr(task, field):
            unpack(task, batch, field)
            break
        else:
            raise TaskError(f"{task.label}: {field} is empty")


def check_weights(model: nn.Module) -> None:
    """Raise ModelError naming the first parameter with NaN or infinity, or the first buffer with NaN.

    A buffer may hold infinities: attention masks do.
    """
    broken = [(name, ~torch.isfinite(values)) for name, values in model.named_parameters()]
    broken += [(name, torch.isnan(values)) for name, values in model.named_buffers()]
    for name, bad in broken:
        if bad.any():
            raise ModelError(
                f"{name} holds {int(bad.sum())} values of {bad.numel()} that are NaN or infinite; "
                "train the model again or load other weights"
            )


def evaluate(task: Task, model: nn.Module) -> float:
    """Mean of the metric of `model` over the evaluation data, weighted by batch size.

    `model` takes the place of `task.model` (a compressed one, say). It runs in eval mode without gradients
    and is left in the modes it had. Raises TaskError for empty data, outputs that are not finite, or code
    that raises.
    """
    total, samples = 0.0, 0
    with evaluating(model):
        for index, batch in enumerate(task.eval_data):
            inputs, target = unpack(task, batch, "eval_data")
            where = f"{task.label}: evaluation batch {index}"
            with blamed(f"{where}: the model"):
                output = model(*inputs)
            if not _finite(output):
                raise TaskError(f"{where}: the model's output holds NaN or infinity")
            with blamed(f"{where}: the metric"):
                value = float(task.metric(output, target))
            total += value * len(inputs[0])
            samples += len(inputs[0])
    if samples == 0:
        raise TaskError(f"{task.label}: eval_data is empty")
    return total / samples


def training_loss(task: Task, model: nn.Module) -> float:
    """Mean loss of `model` over the training data, in eval mode, weighted by batch size. Raises TaskError."""
    total, samples = 0.0, 0
    with evaluating(model):
        for index, batch in enumerate(task.train_data):
            inputs, target = unpack(task, batch, "train_data")
            with blamed(f"{task.label}: training batch {index}: the model or the loss"):
                total += float(task.loss(model(*inputs), target)) * len(inputs[0])
            samples += len(inputs[0])
    if samples == 0:
        raise TaskError(f"{task.label}: train_data is empty")
    return total / samples


def unpack(task: Task, batch: Any, field: str) -> tuple[tuple[Tensor, ...], Any]:
    """The model's arguments and the target of one batch; TaskError where it is no (input, target) pair."""
    if isinstance(batch, tuple | list) and len(batch) == 2:
        inputs, target = batch
        arguments = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
        if arguments and all(isinstance(x, Tensor) and x.ndim > 0 for x in arguments):
            return arguments, target
    raise TaskError(
        f"{task.label}: {field} must hold (input, target) batches, the input a tensor or a tuple of tensors; "
        f"it holds a {_describe(batch)}"
    )


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """`model` in eval mode and without gradients; afterwards every submodule has the mode it had before.

    Restored one by one, because a user may keep some layers (a frozen BatchNorm) in eval mode while training.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def blamed(who: str) -> Iterator[None]:
    """Turn whatever the user's code raises into a TaskError that says `who` raised it."""
    try:
        yield
    except HwawareError:
        raise
    except Exception as error:
        reason = (str(error).strip() or "no message").splitlines()[0]
        raise TaskError(f"{who} raised {type(error).__name__}: {reason}") from error


def _finite(output: Any) -> bool:
    """Whether all tensors in `output`, nested in tuples, lists and dicts as models do, are finite."""
    if isinstance(output, Tensor):
        return bool(torch.isfinite(output).all())
    if isinstance(output, dict):
        return all(_finite(value) for value in output.values())
    if isinstance(output, tuple | list):
        return all(_finite(value) for value in output)
    return True


def _describe(batch: object) -> str:
    kind = type(batch).__name__
    if isinstance(batch, tuple | list):
        return f"{kind} of {', '.join(type(item).__name__ for item in batch[:4]) or 'nothing'}"
    return kind
