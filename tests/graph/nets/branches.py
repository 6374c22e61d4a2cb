"""Channels side by side, split and shuffled."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.graph.nets.layers import conv, norm


class Dense(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 6)
        self.layers = nn.ModuleList(
            nn.Sequential(norm(6 + 4 * i), nn.ReLU(), nn.Conv2d(6 + 4 * i, 4, 3, padding=1)) for i in range(3)
        )
        self.transition = conv(18, 7, 1)
        self.head = nn.Linear(7, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.head(F.avg_pool2d(self.transition(x), 4).mean((2, 3)))


class Squeeze(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.squeeze, self.one, self.three = conv(3, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(4, 5, 3, padding=1)
        self.last = nn.Conv2d(11, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.squeeze(x)
        x = torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)
        return self.last(x).mean((2, 3))


class Fires(nn.Module):
    """Two fire modules with a pool between them, which reads the whole of a concatenation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 9)
        self.squeezes = nn.ModuleList([conv(9, 5, 1), conv(14, 7, 1)])
        self.ones = nn.ModuleList([nn.Conv2d(5, 6, 1), nn.Conv2d(7, 10, 1)])
        self.threes = nn.ModuleList([nn.Conv2d(5, 8, 3, padding=1), nn.Conv2d(7, 10, 3, padding=1)])
        self.last = nn.Conv2d(20, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for squeeze, one, three in zip(self.squeezes, self.ones, self.threes, strict=True):
            x = squeeze(x)
            x = F.max_pool2d(torch.cat([F.relu(one(x)), F.relu(three(x))], 1), 3, 2, ceil_mode=True)
        return F.relu(self.last(x)).mean((2, 3))


class Inception(nn.Module):
    """Four branches side by side, one of them a pool alone as where such nets halve their images."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 7)
        self.one, self.three = conv(7, 5, 1), nn.Sequential(conv(7, 4, 1), conv(4, 6))
        self.five, self.pooled = nn.Sequential(conv(7, 3, 1), conv(3, 3, 5)), conv(7, 9, 1)
        self.down = conv(23, 11, stride=2)
        self.head = nn.Linear(34, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        pooled = self.pooled(F.avg_pool2d(x, 3, 1, padding=1, count_include_pad=False))
        x = torch.cat([self.one(x), self.three(x), self.five(x), pooled], 1)
        x = torch.cat([self.down(x), F.max_pool2d(x, 3, 2, padding=1)], 1)
        return self.head(x.mean((2, 3)))


class Split(nn.Module):
    """Channels split three ways: to a depthwise and a full convolution and a pool, which all read slices."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = conv(3, 16), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.full, self.last = conv(7, 5), conv(14, 6, 1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b, c = self.stem(x).split([6, 7, 3], 1)
        x = torch.cat([self.deep(a), F.max_pool2d(c, 3, 1, padding=1), self.full(b)], 1)
        return self.head(self.last(x).mean((2, 3)))


class ShuffleUnit(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(
            conv(half, half, 1),
            nn.Conv2d(half, half, 3, padding=1, groups=half),
            norm(half),
            conv(half, half, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = x.chunk(2, 1)
        x = torch.cat([a, self.branch(b)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Shuffle(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = conv(3, 8), conv(3, 8, 1)
        self.units = nn.Sequential(ShuffleUnit(16), ShuffleUnit(16))
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([self.left(x), self.right(x)], 1)
        x = x.view(x.shape[0], 2, 8, *x.shape[2:]).transpose(1, 2).flatten(1, 2)
        return self.head(self.units(x).mean((2, 3)))


class Grouped(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one = conv(3, 12), conv(12, 18, groups=3)
        self.two, self.last = conv(18, 12, 1, groups=3), conv(12, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.one(self.stem(x))
        n, c, h, w = x.shape
        x = x.view(n, 3, c // 3, h, w).transpose(1, 2).reshape(n, c, h, w)
        return self.head(self.last(self.two(x)).mean((2, 3)))
