"""The function behind a node's operator: ATen's, or one of hwaware's own; looked up by name, nothing is evaluated."""

from __future__ import annotations

from typing import Any

import torch

from hwaware.graph import decode, integer
from hwaware.graph.own import NAMESPACE

# Imported, they are registered.
_REGISTERED = (decode, integer)

OWN = NAMESPACE + "."


def function_of(op: str) -> Any:
    """The overload called `op`: ``conv2d.default`` is ATen's, ``hwaware.quantize`` one of hwaware's own."""
    if op.startswith(OWN):
        return getattr(getattr(torch.ops, NAMESPACE), op.removeprefix(OWN)).default
    packet, _, overload = op.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload)
