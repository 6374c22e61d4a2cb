"""Inception-V2, also called BN-Inception.

Source: Ioffe, Szegedy 2015, arXiv:1502.03167, figure 5, whose widths of branches are taken as printed: they sum to 608
channels after modules 4c and 4d, where its column of outputs says 576. The first convolution is a plain one. 11,285,224
parameters with 1000 classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Widths:
    """Output channels of one module; a module without `one` halves the image and passes its pooled input on."""

    one: int  # the 1×1 branch
    three: tuple[int, int]  # 1×1 that reduces, 3×3
    double: tuple[int, int]  # 1×1 that reduces, both 3×3
    pooled: int = 0  # 1×1 behind the pool
    pool: type[nn.Module] = nn.AvgPool2d


MODULES = {
    "3a": Widths(64, (64, 64), (64, 96), 32),
    "3b": Widths(64, (64, 96), (64, 96), 64),
    "3c": Widths(0, (128, 160), (64, 96)),
    "4a": Widths(224, (64, 96), (96, 128), 128),
    "4b": Widths(192, (96, 128), (96, 128), 128),
    "4c": Widths(160, (128, 160), (128, 160), 128),
    "4d": Widths(96, (128, 192), (160, 192), 128),
    "4e": Widths(0, (128, 192), (192, 256)),
    "5a": Widths(352, (192, 320), (160, 224), 128),
    "5b": Widths(352, (192, 320), (192, 224), 128, nn.MaxPool2d),
}


class Inception(nn.Module):
    """Up to four branches side by side, their channels joined."""

    def __init__(self, inputs: int, widths: Widths) -> None:
        super().__init__()
        stride = 1 if widths.one else 2
        (reduce3, three), (reduce5, double) = widths.three, widths.double
        self.branches = nn.ModuleDict()
        if widths.one:
            self.branches["one"] = _conv(inputs, widths.one, 1)
        self.branches["three"] = nn.Sequential(_conv(inputs, reduce3, 1), _conv(reduce3, three, 3, stride))
        self.branches["double3"] = nn.Sequential(
            _conv(inputs, reduce5, 1), _conv(reduce5, double, 3), _conv(double, double, 3, stride)
        )
        if widths.one:
            self.branches["pooled"] = nn.Sequential(_pool(widths.pool), _conv(inputs, widths.pooled, 1))
        else:
            self.branches["pooled"] = nn.MaxPool2d(3, stride, padding=1)
        self.outputs = widths.one + three + double + (widths.pooled or inputs)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches.values()], 1)


class InceptionV2(nn.Module):
    """Input (N, C, H, W) with H, W of at least 32, output (N, classes)."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(data_shape[0], 64, 7, 2),
            nn.MaxPool2d(3, 2, padding=1),
            _conv(64, 64, 1),
            _conv(64, 192, 3),
            nn.MaxPool2d(3, 2, padding=1),
        )
        self.stages = nn.Sequential()
        inputs = 192
        for name, widths in MODULES.items():
            module = Inception(inputs, widths)
            self.stages.add_module(f"inception_{name}", module)
            inputs = module.outputs
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(self.pool(self.stages(self.stem(x))))
        out: Tensor = self.fc(self.dropout(x))
        return out


def _pool(kind: type[nn.Module]) -> nn.Module:
    """3×3 at stride 1; the mean is over the pixels of the image, not over those around it."""
    return nn.AvgPool2d(3, 1, padding=1, count_include_pad=False) if kind is nn.AvgPool2d else kind(3, 1, padding=1)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
