"""Random small networks of convolutions: chains, residual and depthwise ones, and such that have all of these."""

from __future__ import annotations

import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from hwaware.compression.task import Task
from hwaware.zoo.tasks import accuracy

KINDS = ("chain", "residual", "depthwise", "mixed")
CLASSES, BATCHES, BATCH = 10, 4, 16
_SIZES, _WIDTHS, _BLOCKS = (8, 24), (5, 96), (1, 4)  # from, to
_DOWN = 0.4  # how often a block halves the image


class _Residual(nn.Module):
    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_conv(width, width, kernel), nn.ReLU(), _conv(width, width, kernel))
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.relu(x + self.body(x))
        return out


def drawn(seed: int) -> Task:
    """Net number `seed`, on random images with random labels: what it learns does not matter, its costs do."""
    dice = random.Random(seed)  # noqa: S311 - what is drawn is no secret
    generator = torch.Generator().manual_seed(seed)
    size, channels = dice.randint(*_SIZES), dice.choice((1, 3, 8))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = _network(dice, kind_of(seed), channels, size)
    batches = [
        (torch.randn(BATCH, channels, size, size, generator=generator), _labels(generator)) for _ in range(BATCHES)
    ]
    with torch.no_grad():
        for _ in range(3):
            module.train()(batches[0][0])  # BatchNorms get the statistics of these images
    return Task(
        model=module.eval(),
        example_inputs=(torch.randn(1, channels, size, size, generator=generator),),
        train_data=batches,
        eval_data=batches[:1],
        loss=nn.functional.cross_entropy,
        metric=accuracy,
        name=f"{kind_of(seed)}-{seed}",
    )


def kind_of(seed: int) -> str:
    """All kinds come equally often."""
    return KINDS[seed % len(KINDS)]


def _labels(generator: torch.Generator) -> Tensor:
    return torch.randint(0, CLASSES, (BATCH,), generator=generator)


def _network(dice: random.Random, kind: str, channels: int, size: int) -> nn.Sequential:
    width = dice.randint(*_WIDTHS)
    parts: list[nn.Module] = [_conv(channels, width, 3), nn.ReLU()]
    for _ in range(dice.randint(*_BLOCKS)):
        each = dice.choice(KINDS[:-1]) if kind == "mixed" else kind
        stride = 2 if size >= 8 and dice.random() < _DOWN else 1
        outputs = dice.randint(*_WIDTHS)
        parts += _BLOCKS_OF[each](dice, width, outputs, stride)
        width, size = outputs, -(-size // stride)
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES))


def _chain(dice: random.Random, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [_conv(inputs, outputs, dice.choice((1, 3, 5)), stride), dice.choice((nn.ReLU, nn.ReLU6, nn.Hardswish))()]


def _residual(dice: random.Random, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    return [_conv(inputs, outputs, 3, stride), nn.ReLU(), _Residual(outputs, dice.choice((1, 3)))]


def _depthwise(dice: random.Random, inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    wide = inputs * dice.choice((1, 2))
    kernel = dice.choice((3, 5))
    depthwise = _conv(wide, wide, kernel, stride, groups=wide)
    return [_conv(inputs, wide, 1), nn.ReLU6(), depthwise, nn.ReLU6(), _conv(wide, outputs, 1)]


_BLOCKS_OF: dict[str, Callable[[random.Random, int, int, int], list[nn.Module]]] = {
    "chain": _chain,
    "residual": _residual,
    "depthwise": _depthwise,
}


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))
