"""How far a trimmed network's outputs can be from the original's: the bounds of the two schemes.

For a chain of dense layers with ReLUs, on the calibration data. An error behind one layer grows by at most the
spectral norm of the next one's weights; for link-normalised layers (‖W‖₁ = 1) that is at most 1, and the bounds are
the paper's: Σ ε_l in parallel, ε₁ · √Πγ_l in the cascade (Aghasi et al. 2017, arXiv:1611.05162, theorems 1 and 2).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def parallel_bound(epsilons: Sequence[float], weights: Sequence[Tensor]) -> float:
    """‖Ŷ - Y‖_F behind the last layer; `weights` are the trimmed ones, a matrix a layer, without biases."""
    error = 0.0
    for epsilon, weight in zip(epsilons, weights, strict=True):
        error = epsilon + _norm(weight) * error
    return error


def cascade_bound(first: float, inflations: Sequence[float], weights: Sequence[Tensor]) -> float:
    """‖Ŷ - Y‖_F behind the last layer: `first` is ε of layer 1, then γ and the original weights of each later one."""
    error = first
    for inflation, weight in zip(inflations, weights, strict=True):
        error *= max(1.0, inflation) ** 0.5 * _norm(weight)
    return error


def _norm(weight: Tensor) -> float:
    return float(torch.linalg.matrix_norm(weight.double(), 2))
