"""A histogram that grows with what it is shown: bounded memory, and the same whatever the order.

Bins begin at multiples of their width, which is a power of two. Larger values double it, and neighbouring bins become
one, so that the result is the histogram of everything at the last width. Zeros are counted apart: a ReLU makes many,
and levels have them exactly.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_BINS = 8192
_FINEST = -100  # exponent of the smallest width


class Histogram:
    """Counts of the values shown, by bins of `width` around 0; `low` and `high` are the extremes."""

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.zeros = 0
        self._exponent = _FINEST
        self._counts = torch.zeros(_BINS, dtype=torch.int64)

    def add(self, values: Tensor) -> None:
        """Count finite `values` of any shape."""
        flat = values.detach().flatten().float()
        if not len(flat):
            return
        low, high = (float(value) for value in torch.aminmax(flat))
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._widen(max(-low, high))
        self.zeros += int((flat == 0).sum())
        # Bins are of powers of two, so that the division is exact.
        index = (flat[flat != 0] / self.width).floor().to(torch.int64) + _BINS // 2
        # Quotients below the smallest float32 number round to 0 and count above it.
        self._counts += torch.bincount(index.clamp(0, _BINS - 1), minlength=_BINS)

    @property
    def width(self) -> float:
        """Of a bin."""
        return 2.0**self._exponent

    @property
    def centres(self) -> Tensor:
        """The middles of the bins that hold something, ascending: float64."""
        return (torch.nonzero(self._counts).flatten().double() - _BINS // 2 + 0.5) * self.width

    @property
    def counts(self) -> Tensor:
        """How many values each of these bins holds: float64."""
        return self._counts[self._counts > 0].double()

    def quantile(self, share: float) -> float:
        """The value with `share` (0 to 1) of all values, zeros included, below it, to within a bin."""
        wanted = share * (self.zeros + float(self.counts.sum()))
        centres, counts = self.centres, self.counts
        below = int((centres < 0).sum())
        middles = torch.cat([centres[:below], torch.zeros(1, dtype=torch.float64), centres[below:]])
        reached = torch.cat([counts[:below], torch.tensor([float(self.zeros)]).double(), counts[below:]]).cumsum(0)
        place = min(int(torch.searchsorted(reached, wanted)), len(middles) - 1)
        return min(max(float(middles[place]), self.low), self.high)

    def _widen(self, size: float) -> None:
        """Double the width until values up to `size` have a bin."""
        while size >= self.width * (_BINS // 2):
            quarter = _BINS // 4
            merged = self._counts.view(-1, 2).sum(1)
            self._counts = torch.zeros_like(self._counts)
            self._counts[quarter : 3 * quarter] = merged
            self._exponent += 1
