"""Layers whose weights are mostly 0, kept without their zeros: the same numbers, in a graph that is stored smaller."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

from hwaware.compression.stored_weights import stored
from hwaware.graph.draft import Draft, beside
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.packing import SPARSE, sparse_parts


def sparsified(graph: Graph, names: Collection[str]) -> Graph:
    """`graph` with the weights of the layers `names` as values, their places, and where each output channel's begin.

    It computes the same; ``conv.weight`` holds the values then. Raises ModelError as of `stored`.
    """
    return stored(graph, dict.fromkeys(names, _decoded))


def _decoded(draft: Draft, node: Node, name: str, weight: torch.Tensor) -> str:
    values, places, starts = sparse_parts(weight)
    tensors = {
        "values": draft.tensor(name, values),
        "places": draft.tensor(beside(name, "weight_places"), places),
        "starts": draft.tensor(beside(name, "weight_starts"), starts),
    }
    args: Mapping[str, Arg] = {**{key: Ref(tensor) for key, tensor in tensors.items()}, "shape": tuple(weight.shape)}
    return draft.add(f"{node.name}_weight", SPARSE, args, Spec(tuple(weight.shape), "float32"), node.path)
