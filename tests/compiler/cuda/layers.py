"""Layers by themselves, of every kind and shape that a GPU kernel takes apart in another way."""

from __future__ import annotations

import torch
from torch import nn

from tests.compiler.inprocess import Case

_SMALL: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "dilated": (nn.Conv2d(5, 7, 3, padding=2, dilation=2), (2, 5, 9, 7)),
    "strided, one side of the padding unused": (nn.Conv2d(5, 7, 3, stride=2, padding=1), (1, 5, 8, 10)),
    "no padding": (nn.Conv2d(3, 4, (3, 1)), (1, 3, 6, 5)),
    "grouped": (nn.Conv2d(12, 8, 3, padding=1, groups=4), (2, 12, 5, 6)),
    "depthwise, strided": (nn.Conv2d(9, 9, 5, stride=2, padding=2, groups=9), (1, 9, 9, 8)),
    "many of each channel": (nn.Conv2d(4, 12, 3, groups=4), (1, 4, 6, 6)),
    "transposed": (nn.ConvTranspose2d(5, 6, 3, stride=2, padding=1, output_padding=1), (2, 5, 4, 5)),
    "transposed, dilated": (nn.ConvTranspose2d(5, 6, 3, padding=2, dilation=2), (1, 5, 6, 7)),
    "transposed, grouped": (nn.ConvTranspose2d(6, 9, 2, stride=2, groups=3), (1, 6, 4, 3)),
    "one row": (nn.Linear(17, 9), (1, 17)),
    "some rows": (nn.Linear(17, 9), (6, 17)),
    "one output": (nn.Linear(17, 1), (3, 17)),
    "maximum over a ragged edge": (nn.MaxPool2d(3, 2, padding=1, ceil_mode=True), (1, 5, 8, 9)),
    "average over a ragged edge": (nn.AvgPool2d(3, 2, padding=1, ceil_mode=True), (1, 5, 8, 9)),
    "average without the padding": (nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), (2, 5, 7, 9)),
    "adaptive": (nn.AdaptiveAvgPool2d((3, 2)), (1, 5, 7, 5)),
    "nearest": (nn.Upsample(scale_factor=2, mode="nearest"), (1, 5, 3, 4)),
    "bilinear": (nn.Upsample(size=(7, 5), mode="bilinear", align_corners=True), (1, 5, 3, 4)),
    "softmax": (nn.Softmax(-1), (4, 11)),
    "log of softmax": (nn.LogSoftmax(-1), (4, 11)),
    "layer norm": (nn.LayerNorm(13), (5, 13)),
}
_STEPS: dict[str, nn.Module] = {
    "relu6": nn.ReLU6(),
    "silu": nn.SiLU(),
    "hardswish": nn.Hardswish(),
    "hardsigmoid": nn.Hardsigmoid(),
    "leaky relu": nn.LeakyReLU(0.1),
    "gelu": nn.GELU(),
    "tanh of gelu": nn.GELU(approximate="tanh"),
    "sigmoid": nn.Sigmoid(),
    "tanh": nn.Tanh(),
    "elu": nn.ELU(0.7),
    "prelu": nn.PReLU(6, init=0.3),
}


class Product(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.relu(a @ b)


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(34, 34, 1), nn.Conv2d(34, 34, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.one(x) + self.two(x))


# More than a tile, a block of threads, or a warp, and no multiple of them.
_LARGE: dict[str, tuple[nn.Module, tuple[tuple[int, ...], ...]]] = {
    "convolution": (nn.Conv2d(19, 70, 3, padding=1), ((1, 19, 13, 11),)),
    "of pixels": (nn.Conv2d(37, 66, 1), ((2, 37, 7, 7),)),
    "strided": (nn.Conv2d(3, 33, 7, stride=2, padding=3), ((1, 3, 25, 25),)),
    "grouped": (nn.Conv2d(36, 72, 3, padding=1, groups=4), ((1, 36, 9, 9),)),
    "depthwise": (nn.Conv2d(67, 67, 3, stride=2, padding=1, groups=67), ((1, 67, 9, 9),)),
    "transposed": (nn.ConvTranspose2d(18, 21, 4, stride=2, padding=1), ((1, 18, 7, 7),)),
    "rows": (nn.Linear(131, 70), ((67, 131),)),
    "one row": (nn.Linear(1100, 521), ((1, 1100),)),
    "one row, one column": (nn.Linear(700, 1), ((1, 700),)),
    "product": (Product(), ((3, 65, 34), (3, 34, 71))),
    "softmax": (nn.Softmax(-1), ((3, 1030),)),
    "layer norm": (nn.LayerNorm(600), ((5, 600),)),
    "mean": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), ((1, 45, 19, 19),)),
    "mean of one channel": (nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), ((1, 1, 19, 19),)),
    "one channel": (nn.Conv2d(5, 1, 8), ((1, 5, 8, 8),)),
    "softmax of one row": (nn.Softmax(-1), ((1, 300),)),
    "two columns": (nn.Linear(300, 2), ((1, 300),)),
    "largest": (nn.MaxPool2d(3, 2, padding=1), ((1, 33, 17, 17),)),
    "interpolated": (nn.Upsample(size=(17, 19), mode="bilinear"), ((1, 9, 8, 8),)),
    "residual": (Residual(), ((1, 34, 8, 9),)),
}


def small() -> dict[str, Case]:
    """Layers and steps behind one, with odd windows and paddings."""
    torch.manual_seed(3)
    cases = {name: Case(module.eval(), (torch.randn(shape),)) for name, (module, shape) in _SMALL.items()}
    for name, step in _STEPS.items():
        module = nn.Sequential(nn.Conv2d(5, 6, 3, padding=1), step).eval()
        cases[name] = Case(module, (3 * torch.randn(1, 5, 4, 6),))
    return cases


def large() -> dict[str, Case]:
    """More than a tile, a block of threads, or a warp."""
    torch.manual_seed(5)
    return {
        name: Case(module.eval(), tuple(torch.randn(shape) for shape in shapes))
        for name, (module, shapes) in _LARGE.items()
    }
