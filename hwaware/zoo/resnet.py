"""Residual nets: ResNet-8 (the MLPerf Tiny shape), ResNet-20 for CIFAR, ResNet-18 and ResNet-50.

Source: He, Zhang, Ren, Sun 2015, arXiv:1512.03385. Where a block changes the width or the stride its
shortcut is a 1×1 projection with BatchNorm (option B of the paper) in all four, so that no net needs
zero-padded channels. Parameters at the default shapes: ResNet-8 78,042, ResNet-20 272,474,
ResNet-18 11,689,512, ResNet-50 25,557,032.
"""

from __future__ import annotations

from collections.abc import Callable
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


class Bottleneck(nn.Module):
    """Reduce 1×1, filter 3×3, expand 1×1 to four times the inner width, and a shortcut.

    The 3×3 carries the stride, not the first 1×1 as in the paper: the variant called v1.5, which is what is
    trained and measured under the name of ResNet-50 today.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inner, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        # Sixteen blocks that each add a signal as large as their input would multiply it by hundreds. (Goyal et al.
        # 2017, arXiv:1706.02677, start at 0, which would hide errors of the untrained net's kernels.)
        nn.init.constant_(self.bn3.weight, 0.5)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu3(y + self.shortcut(x))
        return out


class ResNet(nn.Module):
    """A stem, stages of blocks (all but the first halve the image), global average, one dense layer.

    `widths` holds the channels of the stem's output and of each stage's, `blocks` the blocks of each stage.
    """

    def __init__(
        self,
        stem: nn.Sequential,
        block: Callable[[int, int, int], nn.Module],
        widths: tuple[int, ...],
        blocks: tuple[int, ...],
        classes: int,
    ) -> None:
        super().__init__()
        self.stem = stem
        self.stages = nn.Sequential()
        for index, (inputs, outputs) in enumerate(pairwise(widths)):
            strides = [1 if index == 0 else 2, *[1] * (blocks[index] - 1)]
            arriving = [inputs, *[outputs] * (blocks[index] - 1)]
            self.stages.append(nn.Sequential(*(block(c, outputs, s) for c, s in zip(arriving, strides, strict=True))))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.stem(x))
        out: Tensor = self.fc(self.flatten(self.pool(x)))
        return out


def resnet8(data_shape: tuple[int, int, int], classes: int) -> ResNet:
    """Three stages of one block, 16-32-64 channels."""
    return ResNet(_small_stem(data_shape[0]), BasicBlock, (16, 16, 32, 64), (1,) * 3, classes)


def resnet20(data_shape: tuple[int, int, int], classes: int) -> ResNet:
    """Three stages of three blocks, 16-32-64 channels."""
    return ResNet(_small_stem(data_shape[0]), BasicBlock, (16, 16, 32, 64), (3,) * 3, classes)


def resnet18(data_shape: tuple[int, int, int], classes: int) -> ResNet:
    """Four stages of two blocks, 64-128-256-512 channels."""
    return ResNet(_large_stem(data_shape[0]), BasicBlock, (64, 64, 128, 256, 512), (2,) * 4, classes)


def resnet50(data_shape: tuple[int, int, int], classes: int) -> ResNet:
    """Four stages of 3, 4, 6 and 3 bottlenecks, 256-512-1024-2048 channels."""
    return ResNet(_large_stem(data_shape[0]), Bottleneck, (64, 256, 512, 1024, 2048), (3, 4, 6, 3), classes)


def _small_stem(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())


def _large_stem(channels: int) -> nn.Sequential:
    """7×7 and a max-pool, which shrink the image by 4."""
    return nn.Sequential(
        nn.Conv2d(channels, 64, 7, 2, padding=3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, padding=1),
    )
