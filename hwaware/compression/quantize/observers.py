"""Observers: from the values that a calibration shows to the range that levels should cover.

All keep a histogram or less, however many batches they see. The extremes waste levels on outliers; the other three
give some of them up: a fixed share of them, or as many as make the mean squared error of the levels, or the loss of
information, the least.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor

from hwaware.compression.quantize.affine import Affine, affine
from hwaware.compression.quantize.histogram import Histogram
from hwaware.errors import TaskError
from hwaware.graph.integer import LEVELS

ObserverName: TypeAlias = Literal["minmax", "percentile", "mse", "entropy"]
PERCENT = 99.99  # of the values a percentile range keeps
_SHARES = 64  # of the range, tried on each side
_ROUNDS = 2
_LEAST = 1e-12  # share of the mass, where a logarithm would be infinite


class Observer(Protocol):
    """Watches one value over batches."""

    def add(self, values: Tensor) -> None:
        """Take in a batch: any shape, finite."""

    def levels(self) -> Affine:
        """The levels for what was seen."""


class MinMax:
    """From the least to the largest value seen."""

    def __init__(self) -> None:
        self._low, self._high = 0.0, 0.0

    def add(self, values: Tensor) -> None:
        """Take in a batch."""
        if values.numel():
            low, high = (float(value) for value in torch.aminmax(values.detach()))
            self._low, self._high = min(self._low, low), max(self._high, high)

    def levels(self) -> Affine:
        """The levels for what was seen."""
        return affine(self._low, self._high)


class Percentile:
    """All but (100 - `percent`) % of the values, half of those left out on either side."""

    def __init__(self, percent: float = PERCENT) -> None:
        self._seen = Histogram()
        self._tail = (100.0 - percent) / 200.0

    def add(self, values: Tensor) -> None:
        """Take in a batch."""
        self._seen.add(values)

    def levels(self) -> Affine:
        """The levels for what was seen."""
        if self._seen.low > self._seen.high:
            return affine(0.0, 0.0)
        return affine(self._seen.quantile(self._tail), self._seen.quantile(1.0 - self._tail))


class Least:
    """The range that makes a `cost` of levels the least, among shares of the range seen, either end by itself."""

    def __init__(self, cost: Callable[[Tensor, Tensor, Affine], float]) -> None:
        self._seen = Histogram()
        self._cost = cost

    def add(self, values: Tensor) -> None:
        """Take in a batch."""
        self._seen.add(values)

    def levels(self) -> Affine:
        """The levels for what was seen."""
        centres, counts = self._seen.centres, self._seen.counts
        low, high = min(self._seen.low, 0.0), max(self._seen.high, 0.0)
        ends = {"high": high, "low": low}
        best = affine(low, high)
        if not len(centres):
            return best
        least = self._cost(centres, counts, best)
        for _ in range(_ROUNDS):
            for end, whole in (("high", high), ("low", low)):
                if whole == 0:
                    continue
                for step in range(1, _SHARES):
                    tried = ends | {end: whole * step / _SHARES}
                    found = affine(**tried)
                    cost = self._cost(centres, counts, found)
                    if cost < least:
                        least, best, ends = cost, found, tried
        return best


def squared_error(centres: Tensor, counts: Tensor, levels: Affine) -> float:
    """Sum of the squared errors of `counts` values at `centres`."""
    ticks = ((centres / levels.scale).round() + levels.zero).clamp(0, LEVELS)
    return float(((ticks - levels.zero) * levels.scale - centres).square() @ counts)


def divergence(centres: Tensor, counts: Tensor, levels: Affine) -> float:
    """Kullback-Leibler divergence of the values on levels from the values.

    Values beyond the range count at its ends, those of a level are spread evenly over the bins it had values in
    (S. Migacz, 8-bit inference with TensorRT, GTC 2017).
    """
    half = levels.scale / 2
    inside = (centres >= levels.low - half) & (centres <= levels.high + half)
    if not bool(inside.any()):
        return float("inf")
    held = counts[inside]
    whole = held.clone()
    whole[0] += counts[centres < levels.low - half].sum()
    whole[-1] += counts[centres > levels.high + half].sum()
    ticks = ((centres[inside] / levels.scale).round() + levels.zero).clamp(0, LEVELS).to(torch.int64)
    mass = torch.zeros(LEVELS + 1, dtype=torch.float64).index_add_(0, ticks, held)
    bins = torch.bincount(ticks, minlength=LEVELS + 1)
    even = mass[ticks] / bins[ticks]
    p, q = whole / whole.sum(), (even / even.sum()).clamp(min=_LEAST)
    return float((p * (p / q).log()).sum())


OBSERVERS: Mapping[ObserverName, Callable[[], Observer]] = {
    "minmax": MinMax,
    "percentile": Percentile,
    "mse": lambda: Least(squared_error),
    "entropy": lambda: Least(divergence),
}


def checked(values: Tensor, name: str, where: str) -> Tensor:
    """`values` of the value `name`; TaskError naming it and `where` it was met if some are not finite."""
    if values.numel() and not bool(torch.isfinite(torch.stack(torch.aminmax(values))).all()):
        raise TaskError(
            f"{where}: value {name} holds NaN or infinity: clean the data, or train the model again if it overflows"
        )
    return values
