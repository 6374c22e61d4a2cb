"""A structure with new weights: MorphNet trains what it found from scratch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from hwaware.graph.arguments import optional_ref
from hwaware.graph.ir import Graph
from hwaware.graph.ops import BATCH_NORM, CONV, EMBEDDING, LAYER_NORM, LINEAR

_EMBEDDING_SPREAD = 0.02


def fresh(graph: Graph, seed: int) -> Graph:
    """`graph` with its layers initialised anew: He normal by fan-in, norms the identity, biases 0.

    Parameters that belong to no layer (learned positions, scales) stay. A function of `seed`.
    """
    random = torch.Generator().manual_seed(seed)
    tensors = dict(graph.tensors)
    for node in graph.nodes:
        for key, rule in _RULES.get(node.op, {}).items():
            name = optional_ref(node, key)
            if name in tensors:
                tensors[name] = rule(tensors[name], random)
    return replace(graph, tensors=tensors)


def _he(weight: Tensor, random: torch.Generator) -> Tensor:
    new = torch.empty_like(weight, memory_format=torch.contiguous_format)
    return nn.init.kaiming_normal_(new, nonlinearity="relu", generator=random)


def _normal(weight: Tensor, random: torch.Generator) -> Tensor:
    return torch.empty_like(weight).normal_(0.0, _EMBEDDING_SPREAD, generator=random)


def _zeros(tensor: Tensor, random: torch.Generator) -> Tensor:
    return torch.zeros_like(tensor)


def _ones(tensor: Tensor, random: torch.Generator) -> Tensor:
    return torch.ones_like(tensor)


_Rules = Mapping[str, Callable[[Tensor, torch.Generator], Tensor]]
_LAYER: _Rules = {"weight": _he, "bias": _zeros}
_AFFINE: _Rules = {"weight": _ones, "bias": _zeros}
_NORM: _Rules = {**_AFFINE, "running_mean": _zeros, "running_var": _ones}
_TABLE: _Rules = {"weight": _normal}
_RULES: Mapping[str, _Rules] = {
    op: rules
    for ops, rules in ((CONV | LINEAR, _LAYER), (BATCH_NORM, _NORM), (LAYER_NORM, _AFFINE), (EMBEDDING, _TABLE))
    for op in ops
}
