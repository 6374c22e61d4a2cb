"""VGG-8: a plain net of 3×3 convolutions for CIFAR, without shortcuts or branches.

Source: Simonyan, Zisserman 2014, arXiv:1409.1556: the first three stages of configuration D (VGG-16), seven of its
thirteen convolutions, with BatchNorm. A global average and one dense layer stand for the rest: 1,739,210 parameters
with 10 classes.
"""

from __future__ import annotations

from torch import Tensor, nn

# Output channels of the 3×3 convolutions of each stage; a stage ends with a max-pool that halves the image.
STAGES = ((64, 64), (128, 128), (256, 256, 256))


class VGG8(nn.Module):
    """Input (N, C, H, W) with H, W of at least 8, output (N, classes)."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = data_shape[0]
        for stage in STAGES:
            for outputs in stage:
                layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
                inputs = outputs
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.flatten(self.pool(self.features(x))))
        return out
