"""A layer as a linear map of its weights: outputs (M, K) of weights (n, K), for the inputs that it was given.

The last of the n rows is the bias, where there is one. M counts samples, or their positions in a convolution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_weight


class LinearMap(Protocol):
    """A and its adjoint; `rows` is n, `positions` M, `bias` whether the last row is one."""

    @property
    def bias(self) -> bool: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def rows(self) -> int: ...

    @property
    def positions(self) -> int: ...

    def forward(self, weights: Tensor) -> Tensor:
        """A W: (n, K) to (M, K)."""
        ...

    def adjoint(self, outputs: Tensor) -> Tensor:
        """A* Z: (M, K) to (n, K)."""
        ...

    def gram(self) -> Tensor:
        """A* A (n, n) in float64."""
        ...


@dataclass(frozen=True)
class DenseMap:
    """Of a dense layer: `inputs` (M, n), its last column ones where there is a `bias`."""

    inputs: Tensor
    bias: bool = False

    @property
    def dtype(self) -> torch.dtype:
        """Of the inputs, and of what the map takes."""
        return self.inputs.dtype

    @property
    def rows(self) -> int:
        """Weights of a unit, its bias included."""
        return self.inputs.shape[1]

    @property
    def positions(self) -> int:
        """Samples."""
        return self.inputs.shape[0]

    def forward(self, weights: Tensor) -> Tensor:
        """See `LinearMap`."""
        return self.inputs @ weights

    def adjoint(self, outputs: Tensor) -> Tensor:
        """See `LinearMap`."""
        return self.inputs.T @ outputs

    def gram(self) -> Tensor:
        """Accumulated over pieces of the samples, so that no float64 copy of all of them is made."""
        total = torch.zeros(self.rows, self.rows, dtype=torch.float64)
        for piece in self.inputs.split(4096):
            total += piece.double().T @ piece.double()
        return total


@dataclass(frozen=True)
class ConvMap:
    """Of a convolution, in operator form: `batches` of images (N, C, H, W), the windows never held all at once."""

    batches: Sequence[Tensor]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    bias: bool

    @property
    def dtype(self) -> torch.dtype:
        """Of the images, and of what the map takes."""
        return self.batches[0].dtype

    @property
    def rows(self) -> int:
        """Weights of an output channel, its bias included."""
        return self.batches[0].shape[1] * self.kernel[0] * self.kernel[1] + self.bias

    @property
    def positions(self) -> int:
        """Output positions of all images."""
        height, width = self._size(self.batches[0])
        return sum(len(batch) for batch in self.batches) * height * width

    def forward(self, weights: Tensor) -> Tensor:
        """See `LinearMap`."""
        filters = self._filters(weights)
        bias = weights[-1] if self.bias else None
        made = [
            functional.conv2d(batch, filters, bias, self.stride, self.padding, self.dilation) for batch in self.batches
        ]
        return positions_first(made)

    def adjoint(self, outputs: Tensor) -> Tensor:
        """See `LinearMap`."""
        count = outputs.shape[1]
        height, width = self._size(self.batches[0])
        shape = (count, self.batches[0].shape[1], *self.kernel)
        total = torch.zeros(self.rows - self.bias, count, dtype=outputs.dtype)
        start = 0
        for batch in self.batches:
            size = len(batch) * height * width
            image = outputs[start : start + size].reshape(len(batch), height, width, count).permute(0, 3, 1, 2)
            start += size
            slope = conv2d_weight(batch, shape, image.contiguous(), self.stride, self.padding, self.dilation)
            total += slope.flatten(1).T
        return torch.cat([total, outputs.sum(0, keepdim=True)]) if self.bias else total

    def gram(self) -> Tensor:
        """Accumulated image by image."""
        total = torch.zeros(self.rows, self.rows, dtype=torch.float64)
        for windows in self._windows():
            total += windows.T @ windows
        return total

    def unrolled(self) -> DenseMap:
        """The same map over all windows (im2col): M times n numbers."""
        return DenseMap(torch.cat(list(self._windows())).to(self.batches[0].dtype), self.bias)

    def _windows(self) -> Iterator[Tensor]:
        for batch in self.batches:
            for image in batch:
                parts = functional.unfold(image[None].double(), self.kernel, self.dilation, self.padding, self.stride)
                rows = parts[0].T
                yield torch.cat([rows, rows.new_ones(len(rows), 1)], 1) if self.bias else rows

    def _filters(self, weights: Tensor) -> Tensor:
        rows = weights[:-1] if self.bias else weights
        return rows.T.reshape(weights.shape[1], self.batches[0].shape[1], *self.kernel)

    def _size(self, batch: Tensor) -> tuple[int, int]:
        height, width = (
            (size + 2 * pad - dilation * (kernel - 1) - 1) // stride + 1
            for size, pad, dilation, kernel, stride in zip(
                batch.shape[2:], self.padding, self.dilation, self.kernel, self.stride, strict=True
            )
        )
        return height, width


def positions_first(outputs: Sequence[Tensor]) -> Tensor:
    """Outputs by batch, (N, K) or (N, K, H, W), as one (M, K)."""
    return torch.cat([y.permute(0, 2, 3, 1).reshape(-1, y.shape[1]) if y.dim() == 4 else y for y in outputs])
