"""DS-CNN, the depthwise separable nets for keyword spotting, small and large.

Source: Zhang, Suda, Lai, Chandra 2017, "Hello Edge", arXiv:1711.07128, appendix A. One input is a second of
speech as 49 frames of 10 mel-frequency cepstral coefficients, (1, 49, 10); the 12 classes are ten words,
"silence" and "unknown". Convolutions before a BatchNorm have no bias: 23,180 and 413,736 parameters.
"""

from __future__ import annotations

from torch import Tensor, nn


class DSCNN(nn.Module):
    """A 10×4 stem and depthwise separable blocks of one width; (N, C, H, W) to (N, classes).

    `strides` holds one pair (frames, coefficients) a convolution, the stem's first.
    """

    def __init__(self, channels: int, width: int, strides: tuple[tuple[int, int], ...], classes: int) -> None:
        super().__init__()
        stem = nn.Conv2d(channels, width, (10, 4), strides[0], padding=(5, 1), bias=False)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(width), nn.ReLU()]
        layers += [_separable(width, stride) for stride in strides[1:]]
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.flatten(self.pool(self.features(x))))
        return out


def ds_cnn_small(data_shape: tuple[int, int, int], classes: int) -> DSCNN:
    """DS-CNN-S: 64 channels, four blocks."""
    return DSCNN(data_shape[0], 64, ((2, 2), *[(1, 1)] * 4), classes)


def ds_cnn_large(data_shape: tuple[int, int, int], classes: int) -> DSCNN:
    """DS-CNN-L: 276 channels, five blocks."""
    return DSCNN(data_shape[0], 276, ((2, 1), (2, 2), *[(1, 1)] * 4), classes)


def _separable(width: int, stride: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.Conv2d(width, width, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
