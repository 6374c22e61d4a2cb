"""Captured nets, each captured once."""

from __future__ import annotations

from functools import cache

import torch

from hwaware.graph.capture import capture
from hwaware.graph.ir import Graph
from tests.graph.nets import SHAPE, build


@cache
def captured(name: str) -> Graph:
    """The graph of one of tests.graph.nets."""
    return capture(build(name), (torch.randn(1, *SHAPE),))
