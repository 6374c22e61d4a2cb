"""Magnitude pruning to the same count a layer, to compare with."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from hwaware.compression.nettrim.layer import LayerReport
from hwaware.graph.arguments import ref
from hwaware.graph.ir import Graph


def magnitude_pruned(graph: Graph, reports: Iterable[LayerReport]) -> Graph:
    """`graph` with only the `left` largest weights of each reported layer; biases stay. Han et al. 2015, section 3."""
    nodes = {node.name: node for node in graph.nodes}
    tensors = dict(graph.tensors)
    for report in reports:
        name = ref(nodes[report.layer], "weight")
        weight = tensors[name]
        kept = torch.zeros(weight.numel(), dtype=torch.bool)
        kept[weight.abs().flatten().topk(report.left).indices] = True
        tensors[name] = torch.where(kept.reshape(weight.shape), weight, 0)
    return replace(graph, tensors=tensors)
