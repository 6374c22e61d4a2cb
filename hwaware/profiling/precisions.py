"""A graph as it would be lowered with its layers in other precisions: the structure, without a calibration.

What a kernel costs depends on the types of what it reads and writes, not on values, so that levels and scales are made
up here.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch

from hwaware.compression.quantize.affine import Affine
from hwaware.compression.quantize.choices import PRECISIONS, Choices, Precision, everywhere, layers
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.rewrite import quantized
from hwaware.compression.quantize.weights import GROUP
from hwaware.errors import TableError
from hwaware.graph.arguments import ref
from hwaware.graph.ir import Graph

# Of weights that every neighbour has too: bounded in pairs, and not.
_BOUNDED, _FULL = 64.0, 127.0
_UNIT = Affine(1.0, 128)
# How often a random layer has the precision of the one before.
_STAY = 0.5


def parse_precisions(text: str) -> tuple[Precision, ...]:
    """From ``int8,weight8``; float32 is always measured. Raises TableError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in PRECISIONS:
            raise TableError(f"no precision {name!r}: choose of {', '.join(PRECISIONS)}")
    return tuple(name for name in PRECISIONS if name in names and name != "float32")


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


def mixed(graph: Graph, precisions: Sequence[Precision], rng: random.Random) -> Graph:
    """Each layer in one of `precisions` or in float32, neighbours often in the same."""
    plain = folded(graph)
    able = {precision: everywhere(plain, precision) for precision in precisions}
    choices: dict[str, Precision] = {}
    now: Precision = "float32"
    for node in layers(plain):
        if rng.random() > _STAY:
            now = rng.choice(("float32", *precisions))
        if now != "float32" and node.name in able[now]:
            choices[node.name] = now
    return in_precisions(graph, choices)


__all__ = ["Precision", "in_precisions", "mixed", "parse_precisions", "uniform"]
