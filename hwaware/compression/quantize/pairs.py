"""Levels of weights whose neighbours are together at most 128, so that int16 holds the sum of two products.

AVX2's ``vpmaddubsw`` multiplies unsigned with signed bytes and adds neighbouring products with saturation to int16.
With |a| + |b| ≤ 128 the sum of two products with levels up to 255 is at most 255 · 128 = 32640, and never saturates.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOST_OF_A_PAIR = 128


def within_pairs(rows: Tensor) -> Tensor:
    """Integers near the real levels `rows` (any, n) of which no two neighbours are together above 128, as floats.

    A pair above it comes back to it where the squared error is least: both move by the same, up to rounding. The
    pairs (0, 1), (2, 3), … go first, then the pairs between them, and what has room afterwards goes back up.
    """
    size = rows.abs()
    level = size.round()
    for first in (0, 1):
        _pull(level, size, first)
    for first in (0, 1):
        _raise(level, size, first)
    return torch.where(rows < 0, -level, level)


def _pull(level: Tensor, size: Tensor, first: int) -> None:
    """Bring the pairs that begin at `first`, `first` + 2, … to the bound, in place; no level rises."""
    count = (level.shape[1] - first) // 2 * 2
    a, b = (level[:, first + side : first + count : 2] for side in (0, 1))
    gap = size[:, first : first + count : 2] - size[:, first + 1 : first + count : 2]
    even = ((MOST_OF_A_PAIR + gap) / 2).round()
    # Both levels are at least 1 where their sum is above the bound, and so is what is left of them.
    left = even.maximum(MOST_OF_A_PAIR - b).minimum(a)
    over = a + b > MOST_OF_A_PAIR
    b.copy_(torch.where(over, MOST_OF_A_PAIR - left, b))
    a.copy_(torch.where(over, left, a))


def _raise(level: Tensor, size: Tensor, first: int) -> None:
    """Let every second level, from `first` on, go towards its size as far as both neighbours allow, in place."""
    room = torch.full_like(level, MOST_OF_A_PAIR)
    room[:, 1:] -= level[:, :-1]
    room[:, :-1] = room[:, :-1].minimum(MOST_OF_A_PAIR - level[:, 1:])
    every = slice(first, None, 2)
    level[:, every] = size[:, every].round().minimum(room[:, every])
