"""BatchNorm folded into the layer before it: a graph without those that are one scale and shift a channel.

With s = γ / √(var + ε), s · (W x + b - mean) + β = (s W) x + (s (b - mean) + β). The products are taken in float64,
because what is quantised afterwards should not carry the rounding of the fold.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hwaware.graph.arguments import integer, number, optional_ref, ref, with_args
from hwaware.graph.draft import Draft, beside
from hwaware.graph.ir import Graph, Node, Ref
from hwaware.graph.ops import BATCH_NORM, CONV, LINEAR


def folded(graph: Graph) -> Graph:
    """`graph` with every BatchNorm that alone reads a convolution or a dense layer (N, C) folded into that.

    Computes in evaluation mode what `graph` does, up to rounding. The layer keeps its name and that of its weight; a
    layer without a bias gets one beside its weight. Other BatchNorms, of inputs or behind activations, stay.
    """
    users = graph.users()
    pairs = {}
    for node in graph.nodes:
        readers = users[node.name]
        if _takes(graph, node) and len(readers) == 1 and node.name not in graph.outputs:
            norm = readers[0]
            if norm.op in BATCH_NORM and ref(norm, "input") == node.name and _constant(graph, norm):
                pairs[node.name] = norm
    gone = {norm.name: layer for layer, norm in pairs.items()}
    draft = Draft(graph, [node for node in graph.nodes if node.name not in pairs and node.name not in gone])
    for node in graph.nodes:
        if node.name in pairs:
            draft.keep(_merged(draft, graph, node, pairs[node.name]))
        elif node.name in gone:
            draft.rename(node.name, gone[node.name])
        else:
            draft.keep(node)
    return draft.finish()


def _takes(graph: Graph, node: Node) -> bool:
    """Whether `node` is a layer whose channels are what a BatchNorm behind it normalises."""
    if node.op not in CONV and not (node.op in LINEAR and len(node.spec.shape) == 2):
        return False
    tensors = [optional_ref(node, "weight"), optional_ref(node, "bias")]
    return tensors[0] is not None and all(name is None or name in graph.tensors for name in tensors)


def _constant(graph: Graph, norm: Node) -> bool:
    names = [optional_ref(norm, key) for key in ("running_mean", "running_var", "weight", "bias")]
    return all(name is None or name in graph.tensors for name in names) and None not in names[:2]


def _merged(draft: Draft, graph: Graph, node: Node, norm: Node) -> Node:
    mean, var, gamma, beta, bias = (
        None if name is None else graph.tensors[name].double()
        for name in (
            *(optional_ref(norm, key) for key in ("running_mean", "running_var", "weight", "bias")),
            optional_ref(node, "bias"),
        )
    )
    assert mean is not None
    assert var is not None
    scale = (var + number(norm, "eps")).rsqrt()
    if gamma is not None:
        scale = scale * gamma
    shift = (-mean if bias is None else bias - mean) * scale
    if beta is not None:
        shift = shift + beta
    name = ref(node, "weight")
    weight = graph.tensors[name]
    new = (weight.double() * _factor(node, weight, scale)).to(weight.dtype)
    trained = name in graph.parameters
    biased = optional_ref(node, "bias") or beside(name, "bias")
    return with_args(
        node,
        {
            "weight": Ref(draft.tensor(name, new, trained=trained)),
            "bias": Ref(draft.tensor(biased, shift.to(weight.dtype), trained=trained)),
        },
    )


def _factor(node: Node, weight: Tensor, scale: Tensor) -> Tensor:
    """`scale` (one an output channel) in the shape of the weight, which is the other way round when transposed."""
    ones = [1] * (weight.dim() - 2)
    if not node.op.startswith("conv_transpose"):
        return scale.reshape(-1, 1, *ones)
    groups = integer(node, "groups")
    inputs = weight.shape[0] // groups
    return torch.repeat_interleave(scale.reshape(groups, -1), inputs, 0).reshape(weight.shape[0], -1, *ones)
