"""The affine levels of an activation: x ≈ (q - zero) · scale with q from 0 to 255.

Jacob et al. 2018 (arXiv:1712.05877, section 2.1). 0 is always one of the levels, so that padding is exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias

import numpy as np

from hwaware.graph.integer import LEVELS

# The product of an activation's and a weight's scale must stay a normal float32 (from 2^-126 on).
SMALLEST = 2.0**-60
_UNIT = 1.0  # the range given to a value of which only 0 was seen


class Affine(NamedTuple):
    """Scale (a float32, at least `SMALLEST`) and zero point (0 to 255) of a value's levels."""

    scale: float
    zero: int

    @property
    def low(self) -> float:
        """The value of level 0."""
        return -self.zero * self.scale

    @property
    def high(self) -> float:
        """The value of level 255."""
        return (LEVELS - self.zero) * self.scale


Ranges: TypeAlias = Mapping[str, Affine]  # by the name of the value


def affine(low: float, high: float) -> Affine:
    """The levels for values from `low` to `high`, widened to take in 0.

    A range of nothing but 0, or of numbers as good as 0, gets the levels of 0 to 1: any scale is right there, and
    this one keeps the products with weights in the range of float32.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    if high - low < LEVELS * SMALLEST:
        low, high = 0.0, _UNIT
    # Halves, as the difference of two large numbers may be infinite.
    scale = float(np.float32(high / LEVELS - low / LEVELS))
    return Affine(scale, min(LEVELS, max(0, round(-low / scale))))
