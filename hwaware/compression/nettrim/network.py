"""Net-Trim over a network: every layer by its convex programme, each for itself or behind the trimmed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hwaware.compression.nettrim.layer import PLAIN, LayerReport, Mode, Solving, trim_layer
from hwaware.compression.nettrim.maps import positions_first
from hwaware.compression.nettrim.structure import Found, found, layer_map, rectified, tensors_of, weights_of
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.walk import Walk
from hwaware.errors import ModelError, TaskError
from hwaware.graph.arguments import ref
from hwaware.graph.capture import capture_batched
from hwaware.graph.ir import Graph, Node

Inputs = Sequence[tuple[Tensor, ...]]  # by batch
INFLATION = 1.1  # γ of the cascade's later layers, as in the paper


@dataclass(frozen=True)
class Trim:
    """The trimmed `graph`, BatchNorm folded; a report a layer; why the other layers stayed."""

    graph: Graph
    layers: tuple[LayerReport, ...]
    left: Mapping[str, str]

    @property
    def removed(self) -> float:
        """Share of the trimmed layers' weights that are 0."""
        return 1 - sum(layer.left for layer in self.layers) / sum(layer.weights for layer in self.layers)


def net_trim(
    model: nn.Module,
    example_inputs: Sequence[Tensor],
    batches: Inputs,
    gains: float | Mapping[str, float],
    *,
    mode: Mode = "parallel",
    inflation: float = INFLATION,
    solving: Solving = PLAIN,
) -> Trim:
    """Trim any module of dense layers and convolutions; it is captured, not changed. See `trim_graph`.

    It is captured because a graph says what hooks cannot: what reads a layer, and whether that is a ReLU.
    Raises ModelError where it cannot be captured.
    """
    graph = capture_batched(model, example_inputs)
    return trim_graph(graph, batches, gains, mode=mode, inflation=inflation, solving=solving)


def trim_graph(
    graph: Graph,
    batches: Inputs,
    gains: float | Mapping[str, float],
    *,
    mode: Mode = "parallel",
    inflation: float = INFLATION,
    solving: Solving = PLAIN,
) -> Trim:
    """`graph` trimmed on `batches` of its inputs, without labels; dropout is off.

    `gains` (one, or by layer's name) is ε of a layer as a share of its outputs' norm. In the cascade it is that of
    the first layer, and of any whose inputs are still the network's own; γ of the others is `inflation`.

    Aghasi et al. 2017, arXiv:1611.05162, algorithms 1 and 2. Raises ModelError where no layer can be trimmed or a
    name is no such layer, TaskError for empty data, NaN, gains out of range.
    """
    if mode not in ("parallel", "cascade"):
        raise ModelError(f"the mode {mode!r} is unknown; choose from parallel, cascade")
    if not any(len(inputs[0]) for inputs in batches):
        raise TaskError("no calibration data: Net-Trim needs at least one batch of inputs")
    for index, given in enumerate(batches):
        if not all(bool(x.isfinite().all()) for x in given if x.is_floating_point()):
            raise TaskError(f"calibration batch {index} holds NaN or infinity; clean the data")
    graph = folded(graph)
    chosen = found(graph)
    wanted_gains = gains_by_layer(chosen, gains)
    original = Walk(graph, batches)
    trimmed = Walk(graph, batches) if mode == "cascade" else original
    tensors, reports = dict(graph.tensors), []
    for node in chosen.layers:
        gain = wanted_gains.get(node.name)
        if gain is None:
            continue
        inputs, wanted = _read(original, trimmed, node)
        made = trim_layer(
            node.name,
            layer_map(graph, node, inputs, solving.dtype),
            weights_of(graph, node),
            gain=gain if wanted is None else inflation,
            relu=rectified(graph, node),
            wanted=wanted,
            solving=solving,
        )
        changed = tensors_of(graph, node, made.weights)
        tensors |= changed
        if mode == "cascade":
            for name, tensor in changed.items():
                trimmed.replace(name, tensor)
        reports.append(made.report)
    return Trim(replace(graph, tensors=tensors), tuple(reports), chosen.left)


def gains_by_layer(chosen: Found, gains: float | Mapping[str, float]) -> dict[str, float]:
    """A gain for each layer that gets one; a layer that a mapping does not name stays. Raises ModelError."""
    names = [node.name for node in chosen.layers]
    if not isinstance(gains, Mapping):
        return dict.fromkeys(names, gains)
    for name in gains:
        if name not in names:
            reason = chosen.left.get(name, "the model has no such layer")
            raise ModelError(f"{name} cannot be trimmed: {reason}; layers that can: {', '.join(names)}")
    return dict(gains)


def _read(original: Walk, trimmed: Walk, node: Node) -> tuple[list[Tensor], Tensor | None]:
    """What the layer reads, and, where that is not what it read in the original, what it should make."""
    source = ref(node, "input")
    if original is trimmed:
        original.before(node.name)
        return original.values(source), None
    trimmed.before(node.name)
    own = trimmed.values(source)
    original.before(node.name)
    same = all(torch.equal(x, y) for x, y in zip(original.values(source), own, strict=True))
    return own, None if same else positions_first(original.through(node.name))
