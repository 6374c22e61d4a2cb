"""A layer's weights as indices into a codebook, and what they weigh.

A weight (C_out, C_in / groups, *kernel) is read row by row and cut into blocks of d numbers in a row; each block is
one of k codewords. (The paper writes rows as columns; the blocks are the same.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from hwaware.errors import ModelError


@dataclass(frozen=True)
class Form:
    """How a layer is coded: blocks of `d` weights, `k` codewords."""

    d: int
    k: int


@dataclass(frozen=True)
class CodedLayer:
    """One layer's codewords and indices: all that is needed to build its dense weight again.

    `codebook` (k, d) is float32 and holds only values that float16 has; `assignments` (number of blocks) is int64.
    Raises ModelError where they do not make a weight of `shape`.
    """

    name: str  # of the node
    weight: str  # name of its weight among the graph's tensors
    shape: tuple[int, ...]
    codebook: Tensor
    assignments: Tensor

    def __post_init__(self) -> None:
        blocks = math.prod(self.shape) / self.form.d
        if self.assignments.shape != (blocks,) or self.assignments.dtype != torch.int64:
            found = tuple(self.assignments.shape)
            raise ModelError(f"{self.name}: a weight of shape {self.shape} needs {blocks:g} indices, not {found}")
        if int(self.assignments.min()) < 0 or int(self.assignments.max()) >= self.form.k:
            raise ModelError(f"{self.name}: an index is outside of the {self.form.k} codewords")
        if not torch.equal(self.codebook, self.codebook.half().float()) or not self.codebook.isfinite().all():
            raise ModelError(f"{self.name}: a codeword is not a float16 number; train with a lower learning rate")

    @property
    def form(self) -> Form:
        """d and k."""
        k, d = self.codebook.shape
        return Form(int(d), int(k))


def blocks_of(weight: Tensor, d: int) -> Tensor:
    """The blocks of a dense weight: (blocks, d). Raises ModelError where a row is no whole number of them."""
    row = weight[0].numel()
    if row % d:
        raise ModelError(f"rows of {row} weights cannot be cut into blocks of {d}; choose a divisor")
    return weight.reshape(-1, d)


def rebuilt(layer: CodedLayer) -> Tensor:
    """The dense weight, bit for bit what the codewords say."""
    return layer.codebook[layer.assignments].reshape(layer.shape)


def half(codebook: Tensor) -> Tensor:
    """`codebook` in float32 with each number rounded to float16's nearest."""
    return codebook.detach().half().float()


def index_bytes(weights: int, d: int, k: int) -> float:
    """Bytes of a layer's indices, bit-packed: (weights / d) · log2(k) / 8."""
    return weights / d * math.log2(k) / 8


def codebook_bytes(d: int, k: int) -> int:
    """Bytes of a codebook in float16."""
    return 2 * k * d


def coded_bytes(weights: int, d: int, k: int) -> float:
    """Bytes of a layer of so many weights: its indices and its codebook (Stock et al. 2019, section 4.1)."""
    return index_bytes(weights, d, k) + codebook_bytes(d, k)
