"""LeNet-300-100 and LeNet-5, the two MNIST nets of the pruning literature.

Source: LeCun, Bottou, Bengio, Haffner 1998; LeNet-5 in Caffe's widths (20-50-500-10, 431,080 parameters at
1×28×28), where the only non-linearity beside the two max-pools is the ReLU behind the first dense layer.
"""

from __future__ import annotations

from torch import Tensor, nn


class LeNet300(nn.Module):
    """Perceptron with 300 and 100 hidden units. Input (N, C, H, W), output (N, classes)."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = data_shape
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(channels * height * width, 300)
        self.relu1 = nn.ReLU()
        self.fc2 = nn.Linear(300, 100)
        self.relu2 = nn.ReLU()
        self.fc3 = nn.Linear(100, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.fc1(self.flatten(x)))
        x = self.relu2(self.fc2(x))
        out: Tensor = self.fc3(x)
        return out


class LeNet5(nn.Module):
    """Two 5×5 convolutions and two dense layers. Input (N, C, H, W) with H, W of at least 28."""

    def __init__(self, data_shape: tuple[int, int, int], classes: int) -> None:
        super().__init__()
        channels, height, width = data_shape
        self.conv1 = nn.Conv2d(channels, 20, 5)
        self.pool1 = nn.MaxPool2d(2)
        self.conv2 = nn.Conv2d(20, 50, 5)
        self.pool2 = nn.MaxPool2d(2)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(50 * _pooled(height) * _pooled(width), 500)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(500, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool1(self.conv1(x))
        x = self.pool2(self.conv2(x))
        x = self.relu(self.fc1(self.flatten(x)))
        out: Tensor = self.fc2(x)
        return out


def _pooled(size: int) -> int:
    """What two unpadded 5×5 convolutions, each pooled by 2, leave of `size` pixels."""
    return ((size - 4) // 2 - 4) // 2
