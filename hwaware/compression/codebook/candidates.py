"""What each layer could be: several d and k, each coded for real and measured on inputs that it did not see."""

from __future__ import annotations

from dataclasses import dataclass

from hwaware.compression.codebook.calibration import Calibration
from hwaware.compression.codebook.coded import CodedLayer, Form, coded_bytes
from hwaware.compression.codebook.gram import Metrics
from hwaware.compression.codebook.layers import Layer, found, largest_k
from hwaware.compression.codebook.layerwise import Coding, coded, output_error
from hwaware.compression.quantize.walk import Walk
from hwaware.graph.arguments import ref
from hwaware.graph.ir import Graph

_SPATIAL = (1, 2, 4)  # kernels in a block
_BLOCKS = (4, 8, 16)  # weights in a block, of layers without a kernel
_CODEWORDS = (8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Candidate:
    """A layer as it could be: its bytes and the relative error of its outputs. Without `layer` it stays dense."""

    bytes: float
    error: float
    layer: CodedLayer | None = None

    @property
    def form(self) -> Form | None:
        """d and k; None of a dense layer."""
        return None if self.layer is None else self.layer.form


def candidates(
    graph: Graph, calibration: Calibration, *, how: Coding, first: bool = False
) -> dict[str, tuple[Candidate, ...]]:
    """For each layer (by node) all that it could be, the fewest bytes first; the last is the dense one.

    Each layer is measured with the other layers as they are, and only forms that nothing beats in bytes and error at
    once are listed. Raises ModelError and TaskError as coding does.
    """
    seen, unseen = Walk(graph, calibration.seen), Walk(graph, calibration.unseen)
    result = {}
    for index, layer in enumerate(found(graph, first=first).layers):
        for walk in (seen, unseen):
            walk.before(layer.name)
        source = ref(layer.node, "input")
        weight, others = graph.tensors[layer.weight], unseen.values(source)
        metrics = Metrics(layer, seen.values(source))
        measured = [Candidate(4.0 * layer.weights, 0.0)]
        for form in _forms(layer):
            made, _ = coded(layer, weight, metrics, form, how, how.seed + index)
            size = coded_bytes(layer.weights, form.d, form.k)
            measured.append(Candidate(size, output_error(graph, layer, made, others), made))
        result[layer.name] = unbeaten(measured)
    return result


def unbeaten(listed: list[Candidate]) -> tuple[Candidate, ...]:
    """Those with less error than all that have no more bytes, the fewest bytes first."""
    kept: list[Candidate] = []
    for candidate in sorted(listed, key=lambda c: (c.bytes, c.error)):
        if not kept or candidate.error < kept[-1].error:
            kept.append(candidate)
    return tuple(kept)


def _forms(layer: Layer) -> list[Form]:
    sizes = [layer.kernel * m for m in _SPATIAL] if layer.kind == "spatial" else list(_BLOCKS)
    return [
        Form(d, k)
        for d in sizes
        if layer.row % d == 0
        for k in _CODEWORDS
        if k <= largest_k(layer.weights // d) and coded_bytes(layer.weights, d, k) < 4 * layer.weights
    ]
