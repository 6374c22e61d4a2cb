"""The families' nets at the size at which small boards run them: half the channels, images of 96×96 instead of 224×224.

On a shared machine, what does not stay in its own caches is as fast as the neighbours let it. At 224×224 the same
MobileNet took 4 % more or less from one minute to the next; at 96×96 with all channels (10 MB of weights) still 2 to
36 % more than at its fastest, and ResNet-20 (1 MB) in the same minutes 0 to 13 % (one core of an EPYC, 74 runs).
"""

from __future__ import annotations

import torch
from torch import nn

from hwaware.graph.capture import capture
from hwaware.graph.model import GraphModel
from hwaware.profiling.variants import prunable_groups, sliced
from hwaware.zoo.registry import build

Net = tuple[nn.Module, tuple[torch.Tensor, ...]]


def mobilenet_v1() -> Net:
    """Depthwise-separable."""
    return _half("mobilenet_v1", (3, 96, 96), 100)


def mobilenet_v2() -> Net:
    """Inverted residual."""
    return _half("mobilenet_v2", (3, 96, 96), 100)


def squeezenet() -> Net:
    """Concatenations."""
    return _half("squeezenet", (3, 96, 96), 100)


def vgg8() -> Net:
    """Plain 3×3."""
    return _half("vgg8", (3, 32, 32), 10)


def _half(name: str, data_shape: tuple[int, int, int], classes: int) -> Net:
    module, inputs = build(name, data_shape, classes)
    graph = capture(module, inputs)
    groups = list(prunable_groups(graph))
    half = sliced(graph, groups, {group.name: max(1, group.size // 2) for group in groups})
    return GraphModel(half, inputs).eval(), inputs
