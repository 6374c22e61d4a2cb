"""States of objects that are to survive an interrupted training, apart into JSON and tensors.

In the JSON a tensor is ``{"$tensor": NAME}``. Plain dicts with string keys, lists, strings, numbers, truth values and
None are all there is besides: what comes back is what was given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

_MARK = "$tensor"


class Stateful(Protocol):
    """An object that changes during training (a shrinker) and can go on from a stored state."""

    def state(self) -> dict[str, Any]:
        """Its state: tensors, and what JSON has (no tuples, no NaN), nested in dicts and lists."""
        ...

    def restore(self, state: dict[str, Any]) -> object:
        """Take up a state, its tensors on the CPU. Raise ValueError where it makes no sense: files can be damaged."""
        ...


def pack(value: Any, tensors: dict[str, Tensor], prefix: str) -> Any:
    """`value` as JSON; its tensors go into `tensors` under `prefix`.

    Raises TypeError or ValueError, naming the place, for what would not come back as it was.
    """
    if isinstance(value, Tensor):
        name = f"{prefix}/{len(tensors)}"
        tensors[name] = value
        return {_MARK: name}
    if type(value) is dict:
        if _MARK in value or not all(isinstance(key, str) for key in value):
            raise TypeError(f"{prefix} holds a dict with keys other than strings, or with {_MARK!r}")
        return {key: pack(item, tensors, f"{prefix}/{key}") for key, item in value.items()}
    if type(value) is list:
        return [pack(item, tensors, prefix) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{prefix} holds {value}")
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{prefix} holds a {type(value).__name__}")


def unpack(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """What `pack` was given. Raises ValueError for a tensor that is missing."""
    if isinstance(value, dict):
        if set(value) != {_MARK}:
            return {key: unpack(item, tensors) for key, item in value.items()}
        name = value[_MARK]
        if not isinstance(name, str) or name not in tensors:
            raise ValueError(f"its tensor {str(name)[:60]!r} is missing")
        return tensors[name]
    return [unpack(item, tensors) for item in value] if isinstance(value, list) else value
