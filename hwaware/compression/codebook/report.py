"""What became of each layer, and what the whole weighs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hwaware.compression.codebook.coded import CodedLayer, codebook_bytes, index_bytes
from hwaware.graph.ir import Graph


@dataclass(frozen=True)
class LayerReport:
    """One coded layer: sizes in bytes, the EM objective at its end, the error on inputs that it did not see.

    `output_error` is ‖x (W - Ŵ)‖² / ‖x W‖² of held-out inputs x as the coded network has them, before tuning of all
    layers together.
    """

    name: str
    vectors: int
    d: int
    k: int
    index_bytes: float
    codebook_bytes: int
    objective: float
    output_error: float


@dataclass(frozen=True)
class Size:
    """Bytes of a coded network by the paper's formula (Stock et al. 2019, section 4.1), and before.

    `rest` is every other trained number in float32. BatchNorm's running statistics are in neither: folded, they are
    one scale and one shift a channel, which are counted. Files store them or the folded ones.
    """

    coded: float
    rest: float
    dense: float

    @property
    def total(self) -> float:
        """Bytes of the coded network."""
        return self.coded + self.rest

    @property
    def ratio(self) -> float:
        """How many times smaller."""
        return self.dense / self.total


def reported(layer: CodedLayer, objective: float, output_error: float) -> LayerReport:
    """The report of `layer`."""
    d, k = layer.form.d, layer.form.k
    indices = index_bytes(math.prod(layer.shape), d, k)
    return LayerReport(layer.name, len(layer.assignments), d, k, indices, codebook_bytes(d, k), objective, output_error)


def size_of(graph: Graph, layers: Sequence[CodedLayer]) -> Size:
    """Bytes of `graph`, dense or rebuilt, with `layers` coded."""
    numbers = {name: graph.tensors[name].numel() for name in graph.parameters}
    weights = sum(math.prod(layer.shape) for layer in layers)
    forms = [(math.prod(layer.shape), layer.form) for layer in layers]
    coded = sum(index_bytes(count, form.d, form.k) + codebook_bytes(form.d, form.k) for count, form in forms)
    total = sum(numbers.values())
    return Size(coded, 4.0 * (total - weights), 4.0 * total)
