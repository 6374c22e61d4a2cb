"""What of an integer convolution does not depend on its input: Σ (x - z) · w + b = Σ x · w + (b - z · Σ w)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hwaware.compiler.kernel import Pack
from hwaware.compiler.schedules.conv_shape import ConvShape

Constants = Mapping[str, np.ndarray]


def biases(channels: int, offset: int) -> Pack:
    """b - zero · Σ w, which integer sums begin with; `offset` is taken off every level, so off zero too."""

    def pack(constants: Constants) -> np.ndarray:
        sums = constants["weight"].astype(np.int64).reshape(len(constants["weight"]), -1).sum(1)
        values = constants["bias"].astype(np.int64) - (int(constants["zero"][0]) - offset) * sums
        return _wrapped(np.pad(values, (0, channels - len(values))))

    return pack


def given_back(shape: ConvShape, channels: int, offset: int) -> Pack:
    """zero · Σ w of each row of the window, then of each tap; a value a channel."""

    def pack(constants: Constants) -> np.ndarray:
        weight = constants["weight"].astype(np.int64)
        taps = weight.reshape(len(weight), shape.cg, shape.rows.taps, shape.columns.taps).sum(1)
        lines = np.concatenate([taps.sum(2).T, taps.reshape(len(weight), -1).T])
        values = (int(constants["zero"][0]) - offset) * lines
        return _wrapped(np.pad(values, ((0, 0), (0, channels - values.shape[1]))))

    return pack


def _wrapped(values: np.ndarray) -> np.ndarray:
    """Sums in int32 as a processor makes them."""
    return values.astype(np.uint32).view(np.int32)
