"""Small networks, one for each way in which channels get coupled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn

from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import ChannelGroup, channel_groups
from hwaware.graph.ir import Graph
from tests.graph.nets.branches import Dense, Fires, Grouped, Inception, Shuffle, Split, Squeeze
from tests.graph.nets.layers import conv, norm
from tests.graph.nets.paths import Block, Chain, Excited, Inverted, PaddedShortcut, Residual, SpatialGate
from tests.graph.nets.shapes import Flat, OneDimensional, Perceptron, PixelShuffled, UNet, Unflat
from tests.graph.nets.tokens import Mixed, Tokens

__all__ = ["NETS", "SHAPE", "Block", "Inverted", "build", "captured", "conv", "norm"]

NETS: dict[str, Callable[[], nn.Module]] = {
    "chain": Chain,
    "residual": Residual,
    "padded_shortcut": PaddedShortcut,
    "inverted": Inverted,
    "multiplier": lambda: Inverted(2),
    "dense": Dense,
    "squeeze": Squeeze,
    "fires": Fires,
    "inception": Inception,
    "split": Split,
    "shuffle": Shuffle,
    "grouped": Grouped,
    "unet": UNet,
    "flat": Flat,
    "unflat": Unflat,
    "excited": Excited,
    "spatial_gate": SpatialGate,
    "one_dimensional": OneDimensional,
    "perceptron": Perceptron,
    "pixel_shuffled": PixelShuffled,
    "tokens": Tokens,
    "mixed": Mixed,
}
SHAPE = (3, 8, 8)


def build(name: str) -> nn.Module:
    """The net with fixed random weights, in evaluation mode."""
    torch.manual_seed(7)
    return NETS[name]().eval()


@cache
def captured(name: str) -> tuple[Graph, tuple[ChannelGroup, ...]]:
    """The net's graph for any batch size and its channel groups; shared by the tests: do not change it."""
    graph = capture_batched(build(name), (torch.zeros(2, *SHAPE),))
    return graph, channel_groups(graph)
