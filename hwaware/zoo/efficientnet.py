"""EfficientNet-B0: inverted residuals with squeeze-and-excitation and SiLU.

Source: Tan, Le 2019, arXiv:1905.11946, table 1. 5,288,548 parameters with 1000 classes. Stochastic depth, which
only matters in training, is left out.
"""

from __future__ import annotations

from torch import Tensor, nn

# Table 1 of the paper: expansion, output channels, blocks, stride of the first block, kernel.
STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
# The gate's hidden width is this fraction of the block's input, not of the expanded width.
SQUEEZE = 4


class SqueezeExcite(nn.Module):
    """Scale each channel by a gate computed from all channels' means (Hu, Shen, Sun 2018, arXiv:1709.01507)."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.act = nn.SiLU()
        self.expand = nn.Conv2d(hidden, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        scale: Tensor = self.gate(self.expand(self.act(self.reduce(self.pool(x)))))
        return x * scale


class MBConv(nn.Module):
    """Expand 1×1, filter depthwise, gate, project 1×1 without activation; a shortcut where the shapes agree."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int, kernel: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [_conv_bn_silu(inputs, hidden, 1)]
        layers.append(_conv_bn_silu(hidden, hidden, kernel, stride, groups=hidden))
        layers.append(SqueezeExcite(hidden, inputs // SQUEEZE))
        norm = nn.BatchNorm2d(outputs)
        nn.init.constant_(norm.weight, 1.4)  # against the gates, which start at about a half
        layers.append(nn.Sequential(nn.Conv2d(hidden, outputs, 1, bias=False), norm))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


class EfficientNetB0(nn.Module):
    """Input (N, C, H, W) with H, W of at least 32, output (N, classes)."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv_bn_silu(data_shape[0], 32, 3, 2)]
        inputs = 32
        for expansion, outputs, blocks, stride, kernel in STAGES:
            for block in range(blocks):
                layers.append(MBConv(inputs, outputs, stride if block == 0 else 1, expansion, kernel))
                inputs = outputs
        layers.append(_conv_bn_silu(inputs, 1280, 1))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(0.2)
        self.fc = nn.Linear(1280, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(self.pool(self.features(x)))
        out: Tensor = self.fc(self.dropout(x))
        return out


def _conv_bn_silu(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.SiLU())
