"""Minibatches of tensors held in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional


class Batches:
    """Re-iterable (x, y) minibatches; each pass is the next epoch.

    With `seed`, for training: the order is a fresh permutation every epoch, a function of seed and epoch
    alone; the last short batch is left out (BatchNorm cannot train on a batch of one) unless it is the only
    one; each image is moved by up to `shift` pixels, its border repeated. Without `seed`, for evaluation:
    the data in its own order, nothing left out, nothing moved.
    """

    def __init__(self, x: Tensor, y: Tensor, batch: int, *, seed: int | None = None, shift: int = 0) -> None:
        self.x = x
        self.y = y
        self.batch = batch
        self.seed = seed
        self.shift = shift
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make the next pass epoch number `epoch` (the convention of torch's samplers)."""
        self.epoch = epoch

    def __len__(self) -> int:
        if self.seed is None:
            return math.ceil(len(self.x) / self.batch)
        return max(1, len(self.x) // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch = self.epoch
        self.epoch += 1
        if self.seed is None:
            return iter(zip(self.x.split(self.batch), self.y.split(self.batch), strict=True))
        return self._shuffled(torch.Generator().manual_seed(self.seed * 1_000_003 + epoch))

    def _shuffled(self, random: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(self.x), generator=random)
        for chosen in order.split(self.batch)[: len(self)]:
            yield _shifted(self.x[chosen], self.shift, random), self.y[chosen]


def _shifted(x: Tensor, most: int, random: torch.Generator) -> Tensor:
    """Each image of `x` (N, C, H, W) moved by its own whole number of pixels in [-most, most], both ways."""
    if most == 0:
        return x
    count, channels, height, width = x.shape
    padded = functional.pad(x, (most,) * 4, mode="replicate")
    offsets = torch.randint(0, 2 * most + 1, (2, count, 1), generator=random)
    rows = (offsets[0] + torch.arange(height)).view(count, 1, height, 1)
    columns = (offsets[1] + torch.arange(width)).view(count, 1, 1, width)
    images = torch.arange(count).view(count, 1, 1, 1)
    return padded[images, torch.arange(channels).view(1, channels, 1, 1), rows, columns]
