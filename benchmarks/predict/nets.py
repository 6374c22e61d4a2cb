"""The families' nets at the size at which boards run them: images of 96×96 rather than 224×224.

On a shared machine, what does not stay in its own caches is as fast as the neighbours let it: at 224×224 the same
MobileNet took 4 % more or less from one minute to the next (one core of an EPYC, medians of three runs).
"""

from __future__ import annotations

import torch
from torch import nn

from hwaware.zoo.registry import build

Net = tuple[nn.Module, tuple[torch.Tensor, ...]]
_SHAPE, _CLASSES = (3, 96, 96), 100


def mobilenet_v1() -> Net:
    """Depthwise-separable."""
    return build("mobilenet_v1", _SHAPE, _CLASSES)


def mobilenet_v2() -> Net:
    """Inverted residual."""
    return build("mobilenet_v2", _SHAPE, _CLASSES)


def squeezenet() -> Net:
    """Concatenations."""
    return build("squeezenet", _SHAPE, _CLASSES)
