"""hwaware's own operators beside ATen's: one library, whose operators work on the processor and on meta tensors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

NAMESPACE = "hwaware"

_LIBRARY = torch.library.Library(NAMESPACE, "DEF")


def operator(schema: str, meta: Callable[..., Tensor]) -> Callable[[Callable[..., Tensor]], Callable[..., Tensor]]:
    """Register a function as the operator `schema`; `meta` gives the shape of its result."""

    def register(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        _LIBRARY.define(schema)
        name = schema.partition("(")[0]
        _LIBRARY.impl(name, function, "CPU")
        _LIBRARY.impl(name, meta, "Meta")
        return function

    return register


def same_as(dtype: torch.dtype) -> Callable[..., Tensor]:
    """The shape of the first argument, as `dtype`."""
    return lambda x, *_: torch.empty_like(x, dtype=dtype)
