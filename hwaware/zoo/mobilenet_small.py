"""A small MobileNetV2 for grey images of 16×16 to 32×32 pixels.

The inverted residuals of Sandler, Howard, Zhu, Zhmoginov, Chen 2018, arXiv:1801.04381, fewer and narrower; 28×28 pixels
end as 7×7. 132,074 parameters and 10.5 million multiply-adds at 28×28 with 10 classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from hwaware.zoo.mobilenet import InvertedResidual

# Expansion, output channels, blocks, stride of the first block.
STAGES = (
    (4, 16, 1, 1),
    (4, 24, 2, 2),
    (6, 32, 2, 2),
    (6, 64, 2, 1),
)
STEM, LAST = 16, 256


class MobileNetV2Small(nn.Module):
    """Input (N, C, H, W) with H, W of at least 16, output (N, classes)."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(data_shape[0], STEM, 3)]
        inputs = STEM
        for expansion, outputs, blocks, stride in STAGES:
            for block in range(blocks):
                layers.append(InvertedResidual(inputs, outputs, stride if block == 0 else 1, expansion))
                inputs = outputs
        layers.append(_conv(inputs, LAST, 1))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(LAST, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.flatten(self.pool(self.features(x))))
        return out


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU6())
