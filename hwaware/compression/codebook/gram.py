"""The metric of a layer's blocks: the Gram matrix of what the layer reads, cut like its weights.

Stock et al. 2019 (arXiv:1907.05686, section 3.2): the error that matters is that of the outputs, Σ ‖x̃ (v - c)‖² =
(v - c)ᵀ G (v - c) with G = x̃ᵀ x̃. G is d × d whatever the data, and adds up over batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from hwaware.compression.codebook.layers import Layer
from hwaware.errors import TaskError
from hwaware.graph.arguments import integers
from hwaware.graph.ops import LINEAR

CHUNK = 32 << 20  # bytes of unfolded inputs held at once
# Shares of the mean squared input that every direction counts at least.
_RIDGE, _ROW_RIDGE = 1e-4, 1e-2


def gram(layer: Layer, inputs: Iterable[Tensor], d: int) -> Tensor:
    """x̃ᵀ x̃ divided by the number of rows of x̃, (d, d) in float64, for batches of what `layer` reads.

    Raises TaskError for no data at all and for NaN or infinite activations.
    """
    total, count = torch.zeros(d, d, dtype=torch.float64), 0
    for rows in _rows(layer, inputs):
        x = rows.reshape(-1, d)
        total += (x.T @ x).double().cpu()
        count += len(x)
    return total / count


def full_gram(layer: Layer, inputs: Iterable[Tensor]) -> Tensor:
    """The Gram matrix of the whole rows that each group reads, (groups, row, row), divided by their number.

    For a layer with few inputs: its size is the square of theirs. Raises like `gram`.
    """
    total, count = torch.zeros(layer.groups, layer.row, layer.row, dtype=torch.float64), 0
    for rows in _rows(layer, inputs):
        x = rows.reshape(-1, layer.groups, layer.row).transpose(0, 1)
        total += (x.transpose(1, 2) @ x).double().cpu()
        count += x.shape[1]
    return total / count


class Metrics:
    """The metrics of one layer for batches of what it reads, each measured once."""

    def __init__(self, layer: Layer, inputs: Sequence[Tensor]) -> None:
        self._layer, self._inputs = layer, inputs
        self._found: dict[int, Tensor] = {}

    def of_blocks(self, d: int) -> Tensor:
        """(d, d); see `gram`."""
        if d not in self._found:
            self._found[d] = metric(gram(self._layer, self._inputs, d))
        return self._found[d]

    @cached_property
    def of_rows(self) -> Tensor:
        """(groups, row, row); see `full_gram`. Fewer positions than a row has inputs may have to fill it."""
        return metric(full_gram(self._layer, self._inputs), _ROW_RIDGE)


def metric(measured: Tensor, ridge: float = _RIDGE) -> Tensor:
    """`measured` (…, d, d) with every direction counted a little: what calibration never saw may come later.

    Without any input at all (a layer behind dead channels) it is the identity: plain k-means.
    """
    power = float(measured.diagonal(dim1=-2, dim2=-1).mean())
    identity = torch.eye(measured.shape[-1], dtype=measured.dtype).expand(measured.shape)
    return measured + ridge * power * identity if power > 0 else identity.clone()


def _rows(layer: Layer, inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    """What `_unfolded` makes of every batch, which must be finite and not empty altogether."""
    empty = True
    for batch in inputs:
        if not bool(torch.isfinite(batch).all()):
            raise TaskError(f"{layer.name}: the activations that it reads hold NaN or infinity; check the input data")
        empty = empty and batch.numel() == 0
        yield from _unfolded(layer, batch)
    if empty:
        raise TaskError(f"{layer.name}: no calibration data; give at least one batch of inputs")


def _unfolded(layer: Layer, batch: Tensor) -> Iterator[Tensor]:
    """The rows that the layer's weights are multiplied with, in parts: (rows, C_in · kernel)."""
    if layer.node.op in LINEAR:
        yield batch
        return
    kernel = layer.shape[2:]
    image = batch if len(kernel) == 2 else batch.unsqueeze(2)
    size = (1,) * (2 - len(kernel)) + tuple(kernel)
    dilation, padding, stride = (
        _both(layer, key, neutral, len(kernel)) for key, neutral in (("dilation", 1), ("padding", 0), ("stride", 1))
    )
    one = max(1, image[:1].numel() * layer.kernel * image.element_size())
    for part in image.split(max(1, CHUNK // one)):
        yield functional.unfold(part, size, dilation, padding, stride).transpose(1, 2)


def _both(layer: Layer, key: str, neutral: int, dims: int) -> tuple[int, ...]:
    """An argument of the convolution for height and width."""
    values = integers(layer.node, key)
    values = values * dims if len(values) == 1 else values
    return (neutral,) * (2 - dims) + values
