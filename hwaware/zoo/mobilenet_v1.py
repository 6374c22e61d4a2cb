"""MobileNetV1 at width 1.0.

Source: Howard, Zhu, Chen, Kalenichenko, Wang, Weyand, Andreetto, Adam 2017, arXiv:1704.04861, table 1.
4,231,976 parameters with 1000 classes.
"""

from __future__ import annotations

from torch import Tensor, nn

# Table 1 of the paper: output channels and stride of each depthwise separable convolution.
BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)


class MobileNetV1(nn.Module):
    """Input (N, C, H, W) with H, W of at least 32, output (N, classes)."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv_bn_relu(data_shape[0], 32, 3, 2)]
        inputs = 32
        for outputs, stride in BLOCKS:
            layers.append(_conv_bn_relu(inputs, inputs, 3, stride, groups=inputs))
            layers.append(_conv_bn_relu(inputs, outputs, 1))
            inputs = outputs
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.flatten(self.pool(self.features(x))))
        return out


def _conv_bn_relu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
