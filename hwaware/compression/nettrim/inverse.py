"""(A*A / a² + I)⁻¹, the linear system of each ADMM step: one Cholesky a layer, or conjugate gradients."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from hwaware.compression.nettrim.maps import LinearMap

LARGEST = 4096  # rows up to which the Gram matrix is factored; 128 MiB in float64


class Inverse(Protocol):
    """Solves the system; `start` is a guess, with which an iterative one begins."""

    def solve(self, right: Tensor, start: Tensor) -> Tensor:
        """(n, K) to (n, K)."""
        ...


class Factored:
    """By the Cholesky factor of the accumulated Gram matrix."""

    def __init__(self, layer: LinearMap, scale: float, dtype: torch.dtype) -> None:
        system = layer.gram() / scale**2
        system.diagonal().add_(1)
        # Factored in float64: its condition is that of the data squared.
        self._inverse = torch.cholesky_inverse(torch.linalg.cholesky(system)).to(dtype)

    def solve(self, right: Tensor, start: Tensor) -> Tensor:
        """Exact up to rounding; `start` is not needed."""
        return self._inverse @ right


class Iterative:
    """By conjugate gradients on the operator, all columns at once, for layers whose Gram matrix is too large."""

    def __init__(self, layer: LinearMap, scale: float, *, steps: int = 200, tolerance: float = 1e-10) -> None:
        self._layer, self._scale, self._steps, self._tolerance = layer, scale, steps, tolerance

    def solve(self, right: Tensor, start: Tensor) -> Tensor:
        """Up to a residual of `tolerance` times the right side, each column for itself."""
        found = start.clone()
        residual = right - self._apply(found)
        direction, size = residual.clone(), residual.square().sum(0)
        enough = (self._tolerance**2 * right.square().sum(0)).clamp_min(torch.finfo(right.dtype).tiny)
        for _ in range(self._steps):
            if bool((size <= enough).all()):
                break
            image = self._apply(direction)
            curvature = (direction * image).sum(0)
            step = torch.where(size > enough, size / curvature.clamp_min(torch.finfo(right.dtype).tiny), 0.0)
            found += step * direction
            residual -= step * image
            after = residual.square().sum(0)
            direction = residual + torch.where(size > 0, after / size, 0.0) * direction
            size = after
        return found

    def _apply(self, weights: Tensor) -> Tensor:
        return self._layer.adjoint(self._layer.forward(weights)) / self._scale**2 + weights


def inverse(layer: LinearMap, scale: float, dtype: torch.dtype) -> Inverse:
    """The one that fits the layer's size."""
    return Factored(layer, scale, dtype) if layer.rows <= LARGEST else Iterative(layer, scale)
