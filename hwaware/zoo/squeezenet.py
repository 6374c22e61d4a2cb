"""SqueezeNet 1.1.

Source: Iandola, Han, Moskewicz, Ashraf, Dally, Keutzer 2016, arXiv:1602.07360; version 1.1 is the authors' own
(github.com/forresti/SqueezeNet), with 2.4 times less computation at the same accuracy. 1,235,496 parameters
with 1000 classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Squeezed and expanded channels of the fire modules between one max-pool and the next; each of the two expand
# convolutions gives the second number.
STAGES = (
    ((16, 64), (16, 64)),
    ((32, 128), (32, 128)),
    ((48, 192), (48, 192), (64, 256), (64, 256)),
)


class Fire(nn.Module):
    """Squeeze by a 1×1 convolution, expand by a 1×1 and a 3×3 side by side, their channels joined."""

    def __init__(self, inputs: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Sequential(nn.Conv2d(inputs, squeezed, 1), nn.ReLU())
        self.expand1 = nn.Sequential(nn.Conv2d(squeezed, expanded, 1), nn.ReLU())
        self.expand3 = nn.Sequential(nn.Conv2d(squeezed, expanded, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x)
        return torch.cat([self.expand1(x), self.expand3(x)], 1)


class SqueezeNet(nn.Module):
    """Input (N, C, H, W) with H, W of at least 32, output (N, classes)."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(data_shape[0], 64, 3, 2), nn.ReLU()]
        inputs = 64
        for stage in STAGES:
            layers.append(nn.MaxPool2d(3, 2, ceil_mode=True))
            for squeezed, expanded in stage:
                layers.append(Fire(inputs, squeezed, expanded))
                inputs = 2 * expanded
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Sequential(nn.Conv2d(inputs, classes, 1), nn.ReLU())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()

    def forward(self, x: Tensor) -> Tensor:
        x = self.classifier(self.dropout(self.features(x)))
        out: Tensor = self.flatten(self.pool(x))
        return out
