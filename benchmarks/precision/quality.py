"""How far outputs are from those of float32, for speeds to be compared at equal quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Quality:
    """`error`: mean over images of ‖y − y₀‖ / ‖y₀‖; `agreement`: share of images with the same largest output."""

    error: float
    agreement: float


def quality(outputs: np.ndarray, expected: np.ndarray) -> Quality:
    """Of outputs (images, classes) against those `expected`."""
    flat, wanted = (each.reshape(len(each), -1).astype(np.float64) for each in (outputs, expected))
    errors = np.linalg.norm(flat - wanted, axis=1) / np.linalg.norm(wanted, axis=1)
    return Quality(float(errors.mean()), float((flat.argmax(1) == wanted.argmax(1)).mean()))
