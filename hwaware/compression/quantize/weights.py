"""Weights as integers: levels and scales, found by the least squared error.

A row is what one output channel's weights are in memory: height, width, input channel; (input) for a dense layer. A
format says which integers a row may hold. The scale is searched for among those that clip the largest weights a
little, which costs them less than all others gain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from hwaware.compression.quantize.affine import SMALLEST
from hwaware.compression.quantize.pairs import MOST_OF_A_PAIR, within_pairs

# Weights that share a scale where a row has several: 4 bits and a float16 scale are 13.3 % of float32.
GROUP = 64
_COARSE, _FINE = 16, 6  # steps of the search, and parts of one around the best
_LEAST_HALF, _MOST_HALF = 2.0**-24, 65504.0
_NARROWEST = 0.4  # of the scale that clips nothing


@dataclass(frozen=True)
class Format:
    """Integers from `lowest` to `highest`; `paired`: of neighbours in a row |a| + |b| is at most 128.

    `group` weights of a row share a scale, None: all of them. `widest` is the largest scale to try, as a multiple of
    the one that clips nothing.
    """

    lowest: int
    highest: int
    paired: bool = False
    group: int | None = None
    widest: float = 1.0

    def nearest(self, rows: Tensor) -> Tensor:
        """The integers nearest to the real levels `rows` (any, n), as floats."""
        if self.paired:
            return within_pairs(rows.clamp(self.lowest, self.highest))
        return rows.round().clamp(self.lowest, self.highest)

    def spread(self, scale: Tensor, count: int) -> Tensor:
        """`scale` for each of a row's `count` weights: (K, 1), or (K, count) from one a group."""
        if self.group is None:
            return scale.reshape(-1, 1)
        return scale.repeat_interleave(self.group, 1)[:, :count]

    def levels(self, weight: Tensor, scale: Tensor) -> Tensor:
        """Integers, as floats, of `weight` (K, …) at `scale`, in the shape of the weight."""
        rows = rows_of(weight)
        return weight_of(self.nearest(rows / self.spread(scale, rows.shape[1])), weight.shape)

    def decoded(self, weight: Tensor, scale: Tensor) -> Tensor:
        """`weight` as it comes back from its levels."""
        rows = rows_of(weight)
        spread = self.spread(scale, rows.shape[1])
        return weight_of(self.nearest(rows / spread) * spread, weight.shape)

    def scale(self, weight: Tensor, least: Tensor | None = None) -> Tensor:
        """The scales (K), or (K, groups of a row), with the least squared error for `weight` (K, …).

        None is below `least` (K), nor below 2^-60: a channel of zeros gets that.
        """
        rows = rows_of(weight.detach()).float()
        parts = rows.unsqueeze(1) if self.group is None else _grouped(rows, self.group)
        floor = torch.full((len(rows), 1), SMALLEST)
        if least is not None:
            floor = floor.maximum(least.reshape(-1, 1))
        flat = parts.flatten(0, 1)
        floor = floor.expand(parts.shape[:2]).flatten()
        whole = flat.abs().amax(1) / self.highest
        small = whole * self.widest <= floor
        unit = torch.where(small, 1.0, whole)
        flat, lowest = flat / unit.unsqueeze(1), floor / unit
        best, error = lowest, torch.full_like(lowest, torch.inf)
        step = (self.widest - _NARROWEST) / _COARSE
        coarse = [1.0, *(self.widest - step * count for count in range(_COARSE + 1))]
        for share in coarse:
            best, error = self._better(flat, lowest.clamp(min=share), best, error)
        middle = best
        for count in range(1, _FINE):
            for sign in (-1, 1):
                tried = (middle + sign * count * step / _FINE).maximum(lowest)
                best, error = self._better(flat, tried, best, error)
        best = torch.where(small, floor, (best * unit).maximum(floor))
        return best if self.group is None else _half(best).reshape(parts.shape[:2])

    def _better(self, flat: Tensor, scale: Tensor, best: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
        """The better of `scale` and the `best` so far for each of the rows `flat`, and its squared error."""
        ticks = scale.unsqueeze(1)
        found = (self.nearest(flat / ticks) * ticks - flat).square().sum(1)
        return torch.where(found < error, scale, best), found.minimum(error)


FULL = Format(-127, 127)
# At twice the scale that clips nothing no pair is above 128.
PAIRED = Format(-127, 127, paired=True, widest=2 * 127 / MOST_OF_A_PAIR)
INT4 = Format(-8, 7, group=GROUP, widest=1.1)
FORMATS: Mapping[str, Format] = {"int8": FULL, "int8p": PAIRED, "weight8": FULL, "weight4": INT4}


def format_of(precision: str, group: int = GROUP) -> Format:
    """The format of a precision's weights, with `group` where that has groups."""
    found = FORMATS[precision]
    return found if found.group is None else replace(found, group=group)


def rows_of(weight: Tensor) -> Tensor:
    """`weight` (K, C, …) as rows (K, n) in the order of memory: the input channel last."""
    return (weight.movedim(1, -1) if weight.dim() > 2 else weight).flatten(1)


def weight_of(rows: Tensor, shape: torch.Size) -> Tensor:
    """The weight of `shape` whose rows these are."""
    if len(shape) < 3:
        return rows.reshape(shape)
    return rows.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1).contiguous()


def _half(scale: Tensor) -> Tensor:
    """The nearest scale that float16 has, above 0 and finite."""
    return scale.clamp(max=_MOST_HALF).to(torch.float16).float().clamp(min=_LEAST_HALF)


def _grouped(rows: Tensor, group: int) -> Tensor:
    """Rows (K, n) as (K, groups, group), the last filled up with zeros."""
    return functional.pad(rows, (0, -rows.shape[1] % group)).unflatten(1, (-1, group))
