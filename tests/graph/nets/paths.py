"""One path, or paths that add up."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.graph.nets.layers import conv, norm


class Chain(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            conv(3, 8),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 6, 3, padding=1),
            nn.Sigmoid(),
            conv(6, 5, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(5, 4),
        )


class Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, 7)
        self.second = nn.Sequential(nn.Conv2d(7, channels, 3, padding=1), norm(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.second(self.first(x)))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.two = conv(3, 8), Block(8), Block(8)
        self.down, self.shortcut = conv(8, 10, stride=2), nn.Conv2d(8, 10, 1, stride=2)
        self.head = nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.two(self.one(self.stem(x)))
        return self.head((self.down(x) + self.shortcut(x)).mean((2, 3)))


class PaddedShortcut(nn.Module):
    """The shortcut of option A: every other pixel, zeros as new channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body, self.head = conv(3, 6), conv(6, 10, stride=2), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.head((self.body(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))).mean((2, 3)))


class Inverted(nn.Module):
    def __init__(self, multiplier: int = 1) -> None:
        super().__init__()
        wide = 9 * multiplier
        self.stem, self.expand = conv(3, 5), conv(5, 9, 1)
        self.depthwise = nn.Sequential(nn.Conv2d(9, wide, 3, padding=1, groups=9, bias=True), norm(wide), nn.ReLU6())
        self.project = nn.Sequential(nn.Conv2d(wide, 5, 1, bias=False), norm(5))
        self.head = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        x = x + self.project(self.depthwise(self.expand(x)))
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Excited(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.reduce, self.widen = conv(3, 8), nn.Conv2d(8, 3, 1), nn.Conv2d(3, 8, 1)
        self.last, self.head = conv(8, 6), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        gate = torch.sigmoid(self.widen(F.silu(self.reduce(x.mean((2, 3), keepdim=True)))))
        return self.head(self.last(x * gate).mean((2, 3)))


class SpatialGate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.gate, self.last = conv(3, 6), nn.Conv2d(6, 1, 3, padding=1), nn.Conv2d(6, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        return self.last(x * torch.sigmoid(self.gate(x))).mean((2, 3))
