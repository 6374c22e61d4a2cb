"""A graph as it would be lowered with its layers in other precisions: the structure, without a calibration.

What a kernel costs depends on the types of what it reads and writes, not on values, so that levels and scales are made
up here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from hwaware.compression.quantize.affine import Affine
from hwaware.compression.quantize.choices import Choices, Precision, everywhere, layers
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.quantize.weights import GROUP
from hwaware.graph.arguments import ref
from hwaware.graph.ir import Graph

# Of weights that every neighbour has too: bounded in pairs, and not.
_BOUNDED, _FULL = 64.0, 127.0
_UNIT = Affine(1.0, 128)


def in_precisions(graph: Graph, choices: Choices) -> Graph:
    """The structure of `graph` with its layers in the precisions of `choices`; its numbers mean nothing."""
    plain = folded(graph)
    tensors, scales = dict(plain.tensors), {}
    for node in layers(plain):
        precision = choices.get(node.name, "float32")
        if precision == "float32":
            continue
        name = ref(node, "weight")
        weight = tensors[name]
        tensors[name] = torch.full_like(weight, _FULL if precision == "int8" else _BOUNDED)
        groups = -(-weight[0].numel() // GROUP)
        scales[node.name] = torch.ones((len(weight), groups) if precision == "weight4" else len(weight))
    ranges = dict.fromkeys(plain.specs, _UNIT)
    return quantized(replace(plain, tensors=tensors), choices, ranges, scales=scales)


def uniform(graph: Graph, precision: Precision) -> Graph:
    """All layers in one precision, as far as they can be."""
    return in_precisions(graph, everywhere(folded(graph), precision))


def assigned(choices: Choices) -> Callable[[Graph], Graph]:
    """What makes of a graph the structure with these `choices`; layers that it has no more are passed over."""

    def form(graph: Graph) -> Graph:
        present = {node.name for node in layers(graph)}
        return in_precisions(graph, {name: choice for name, choice in choices.items() if name in present})

    return form
