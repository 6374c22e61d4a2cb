"""Channels that change their place: folded into others or into space, and back."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.graph.nets.layers import conv, norm


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
