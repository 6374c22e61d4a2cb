"""Layers that the nets share."""

from __future__ import annotations

import torch
from torch import nn


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with statistics and scales that are not the identity."""
    layer = nn.BatchNorm2d(channels)
    generator = torch.Generator().manual_seed(channels)
    for tensor, low in (
        (layer.weight, 0.5),
        (layer.bias, -0.5),
        (layer.running_mean, -0.5),
        (layer.running_var, 0.5),
    ):
        assert tensor is not None
        tensor.data.copy_(torch.rand(channels, generator=generator) + low)
    return layer


def conv(inside: int, outside: int, size: int = 3, **options: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, size, padding=size // 2, bias=False, **options), norm(outside), nn.ReLU()
    )
