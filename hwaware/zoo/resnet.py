"""Residual nets of basic blocks: ResNet-8 (the MLPerf Tiny shape), ResNet-20 for CIFAR and ResNet-18.

Source: He, Zhang, Ren, Sun 2015, arXiv:1512.03385. Where a block changes the width or the stride its
shortcut is a 1×1 projection with BatchNorm (option B of the paper) in all three, so that no net needs
zero-padded channels. Parameters at the default shapes: ResNet-8 78,042, ResNet-20 272,474,
ResNet-18 11,689,512.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut; (N, C_in, H, W) to (N, C_out, H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


class ResNet(nn.Module):
    """A stem, stages of basic blocks (all but the first halve the image), global average, one dense layer."""

    def __init__(self, stem: nn.Sequential, widths: tuple[int, ...], blocks: int, classes: int) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.Sequential(_stage(widths[0], widths[0], blocks, stride=1))
        for inputs, outputs in pairwise(widths):
            self.stages.append(_stage(inputs, outputs, blocks, stride=2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.stem(x))
        out: Tensor = self.fc(self.flatten(self.pool(x)))
        return out


def resnet8(data_shape: tuple[int, int, int], classes: int) -> ResNet:
    """Three stages of one block, 16-32-64 channels."""
    return ResNet(_small_stem(data_shape[0]), (16, 32, 64), 1, classes)


def resnet20(data_shape: tuple[int, int, int], classes: int) -> ResNet:
    """Three stages of three blocks, 16-32-64 channels."""
    return ResNet(_small_stem(data_shape[0]), (16, 32, 64), 3, classes)


def resnet18(data_shape: tuple[int, int, int], classes: int) -> ResNet:
    """Four stages of two blocks, 64-128-256-512 channels, behind a 7×7 stem that shrinks the image by 4."""
    stem = nn.Sequential(
        nn.Conv2d(data_shape[0], 64, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
    )
    return ResNet(stem, (64, 128, 256, 512), 2, classes)


def _small_stem(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    rest = (BasicBlock(outputs, outputs, stride=1) for _ in range(blocks - 1))
    return nn.Sequential(BasicBlock(inputs, outputs, stride), *rest)
