"""Arithmetic of the forward and backward pass: float32, or 16 bits where torch.autocast finds them safe.

The weights and their updates are float32 in any case. float16 has so little range that gradients vanish: their loss
is scaled up by a factor that follows their overflows (Micikevicius et al. 2018, arXiv:1710.03740).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from hwaware.errors import TaskError

PrecisionName = Literal["float32", "bfloat16", "float16"]

_TYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class Precision:
    """How a training computes on `device`; `Stateful`, for the scale is learned.

    Raises TaskError for a name that is none, and for float16 where it cannot be scaled.
    """

    def __init__(self, name: PrecisionName, device: torch.device) -> None:
        if name not in _TYPES:
            raise TaskError(f"no precision {name!r}: choose one of {', '.join(_TYPES)}")
        if name == "float16" and device.type != "cuda":
            raise TaskError(f"float16 trains on CUDA devices only, the model is on {device.type}: choose bfloat16")
        self._device, self._dtype = device, _TYPES[name]
        self._scaler = torch.amp.GradScaler("cuda") if name == "float16" else None

    def forward(self) -> AbstractContextManager[object]:
        """The context of the model and its loss."""
        if self._dtype is torch.float32:
            return nullcontext()
        return torch.autocast(self._device.type, dtype=self._dtype)

    def backward(self, loss: Tensor) -> None:
        """Gradients of `loss`, times the scale."""
        if self._scaler is None:
            loss.backward()
        else:
            self._scaler.scale(loss).backward()

    def step(self, stepper: torch.optim.Optimizer) -> None:
        """A step by the gradients without the scale; none where they overflowed."""
        if self._scaler is None:
            stepper.step()
        else:
            self._scaler.step(stepper)
            self._scaler.update()

    def state(self) -> dict[str, Any]:
        """The scale and how long it has held; nothing where there is none."""
        return {} if self._scaler is None else self._scaler.state_dict()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`. Raises ValueError where it is no scaler's."""
        if self._scaler is None:
            return
        known = self._scaler.state_dict()
        if set(state) != set(known) or not all(type(state[name]) is type(known[name]) for name in known):
            raise ValueError("it is not the state of a gradient scaler")
        self._scaler.load_state_dict(dict(state))


def for_metric(output: Any) -> Any:
    """`output`, nested as models do, as a metric takes it: without gradients, in float32 where it has 16 bits."""
    return pytree.tree_map_only(Tensor, _plain, output)


def _plain(value: Tensor) -> Tensor:
    return value.detach().float() if value.dtype in (torch.float16, torch.bfloat16) else value.detach()
