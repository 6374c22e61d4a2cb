"""The scales of all weights of a graph, one search a layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hwaware.compression.quantize.affine import SMALLEST, Affine, Ranges
from hwaware.compression.quantize.choices import INTEGER, MOST_BIAS, Precision
from hwaware.compression.quantize.weights import GROUP, format_of
from hwaware.errors import ModelError
from hwaware.graph.arguments import optional_ref, ref
from hwaware.graph.ir import Graph, Node


@dataclass(frozen=True)
class Recovered:
    """A float graph whose weights were chosen for their levels at these scales, by layer: what `quantized` takes."""

    graph: Graph
    scales: Mapping[str, Tensor]


def weight_scales(
    graph: Graph, precisions: Mapping[str, Precision], ranges: Ranges, group: int = GROUP
) -> dict[str, Tensor]:
    """By layer the scales of its weights: (K), or (K, groups of a row) for weight4; float16 has none.

    `precisions` are as `choices.settled` has them. `ranges` must have the values that integer layers read: the bias,
    in levels of both scales' product, has to fit. Raises ModelError for weights that are not finite.
    """
    scales = {}
    for node in graph.nodes:
        precision = precisions.get(node.name, "float32")
        if precision in ("float32", "float16"):
            continue
        name = ref(node, "weight")
        if not bool(torch.isfinite(graph.tensors[name]).all()):
            raise ModelError(f"{name} holds NaN or infinite values: train or load the model again")
        least = _least(graph, node, ranges[ref(node, "input")]) if precision in INTEGER else None
        scales[node.name] = format_of(precision, group).scale(graph.tensors[name], least)
    return scales


def bias_of(graph: Graph, node: Node) -> Tensor:
    """The bias of a layer, zeros where it has none: float32 (K)."""
    name = optional_ref(node, "bias")
    count = graph.tensors[ref(node, "weight")].shape[0]
    return torch.zeros(count) if name is None else graph.tensors[name].detach()


def bias_levels(bias: Tensor, scale: Tensor) -> Tensor:
    """Integers nearest to `bias` (K) in units of `scale` (K), as float64: not all of them are exact in float32."""
    return (bias.double() / scale.double()).round().clamp(-MOST_BIAS, MOST_BIAS)


def _least(graph: Graph, node: Node, levels: Affine) -> Tensor:
    """The smallest scale (K) with which the bias is within its bound."""
    return (bias_of(graph, node).abs() / (levels.scale * MOST_BIAS)).clamp(min=SMALLEST)
