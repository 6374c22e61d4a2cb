"""Small networks, one for each way in which channels get coupled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import nn
from torch.nn import functional as F

from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import ChannelGroup, channel_groups
from hwaware.graph.ir import Graph


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


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.enc1, self.enc2, self.middle = conv(3, 5), conv(5, 7), conv(7, 9)
        self.up2 = nn.ConvTranspose2d(9, 6, 2, stride=2)
        self.dec2, self.dec1, self.out = conv(13, 8), conv(13, 6), nn.Conv2d(6, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one = self.enc1(x)
        two = self.enc2(F.max_pool2d(one, 2))
        x = self.dec2(torch.cat([self.up2(self.middle(F.max_pool2d(two, 2))), two], 1))
        x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.out(self.dec1(torch.cat([x, one], 1)))


class Flat(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            conv(3, 6),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(96, 11),
            nn.Tanh(),
            nn.Linear(11, 4),
        )


class Unflat(nn.Sequential):
    """A decoder: dense, then channels × height × width."""

    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(),
            nn.Linear(192, 96),
            nn.Unflatten(1, (6, 4, 4)),
            norm(6),
            nn.ConvTranspose2d(6, 5, 2, stride=2),
            nn.ReLU(),
            nn.Conv2d(5, 3, 1),
        )


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


class OneDimensional(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(2),
            nn.Conv1d(3, 6, 5, padding=2),
            nn.BatchNorm1d(6),
            nn.PReLU(6),
            nn.MaxPool1d(4),
            nn.Conv1d(6, 5, 3),
            nn.PReLU(),
            nn.Flatten(),
            nn.Linear(70, 4),
        )


class Perceptron(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Flatten(), nn.Linear(192, 20), nn.Hardswish(), nn.Linear(20, 12), nn.GELU(), nn.Linear(12, 4)
        )


class PixelShuffled(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(conv(3, 12), nn.PixelShuffle(2), nn.LeakyReLU(0.1), nn.Conv2d(3, 4, 3))


class Tokens(nn.Module):
    """Patches, positions, a class token, layer norm, attention: all but the feed-forward part is pinned."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, stride=4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 12)), nn.Parameter(torch.randn(1, 5, 12))
        self.encoder = nn.TransformerEncoderLayer(12, 3, 16, batch_first=True, activation="gelu")
        self.head = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], 1, 12), x], 1) + self.positions
        return self.head(self.encoder(x)[:, 0])


class Mixed(nn.Module):
    """Positions and a token without a norm between: the whole stream can shrink."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 10, 4, stride=4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, 10)), nn.Parameter(torch.randn(1, 5, 10))
        self.inner, self.outer, self.head = nn.Linear(10, 14), nn.Linear(14, 10), nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], 1, 10), x], 1) + self.positions
        return self.head(x + self.outer(F.gelu(self.inner(x)))).mean(1)


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
