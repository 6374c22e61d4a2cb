"""Nets that are profiled in seconds."""

from __future__ import annotations

import torch
from torch import nn

SHAPE = (1, 3, 8, 8)


def tiny() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Two convolutions, a mean and a dense layer; one group of four channels, one of eight."""
    torch.manual_seed(3)
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(4, 8, 3, padding=1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, 5),
    )
    return net.eval(), (torch.randn(SHAPE),)


def smallest() -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Two dense layers, for boards that an emulator stands in for: six cells."""
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 4)).eval(), (torch.randn(1, 8),)
