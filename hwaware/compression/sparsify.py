"""Layers whose weights are mostly 0, kept without their zeros: the same numbers, in a graph that is stored smaller."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import torch

from hwaware.compression.quantize.choices import layers
from hwaware.errors import ModelError
from hwaware.graph.arguments import optional_ref
from hwaware.graph.draft import Draft, beside
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec


def sparsified(graph: Graph, names: Collection[str]) -> Graph:
    """`graph` with the weights of the layers `names` as values, their places, and where each output channel's begin.

    It computes the same; ``conv.weight`` holds the values then. Weights that another node reads too stay as they are.
    Raises ModelError for a name that is no convolution or dense layer with weights of its own.
    """
    known = {node.name: node for node in layers(graph)}
    for name in names:
        weight = optional_ref(known[name], "weight") if name in known else None
        if weight not in graph.tensors or "transpose" in known[name].op:
            possible = ", ".join(known) or "none"
            raise ModelError(
                f"{name!r} is no convolution or dense layer whose weights can be sparse; there are {possible}"
            )
    chosen = [known[name] for name in names]
    weights = {optional_ref(node, "weight") for node in chosen}
    # Two layers that share their weights share the values too; what reads them in another way needs them whole.
    others = [node for node in graph.nodes if node.name not in {*names} or not weights & {*node.refs()}]
    draft = Draft(graph, others)
    made: dict[str, str] = {}
    for node in graph.nodes:
        if node.name not in names:
            draft.keep(node)
            continue
        weight = optional_ref(node, "weight")
        assert weight is not None
        if weight not in made:
            made[weight] = _decoded(draft, node, weight, graph.tensors[weight].detach())
        bias = optional_ref(node, "bias")
        changed: dict[str, Arg] = {"weight": Ref(made[weight])}
        if bias in graph.tensors:
            changed["bias"] = Ref(draft.tensor(bias, graph.tensors[bias], trained=bias in graph.parameters))
        draft.keep(replace(node, args={**node.args, **changed}))
    return draft.finish()


def _decoded(draft: Draft, node: Node, name: str, weight: torch.Tensor) -> str:
    rows = weight.flatten(1)
    counts = torch.count_nonzero(rows, 1)
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)]).to(torch.int32)
    row, place = torch.nonzero(rows, as_tuple=True)
    tensors = {
        "values": draft.tensor(name, rows[row, place].contiguous()),
        "places": draft.tensor(beside(name, "weight_places"), place.to(torch.int32)),
        "starts": draft.tensor(beside(name, "weight_starts"), starts),
    }
    args: Mapping[str, Arg] = {**{key: Ref(tensor) for key, tensor in tensors.items()}, "shape": tuple(weight.shape)}
    return draft.add(
        f"{node.name}_weight", "hwaware.decode_sparse", args, Spec(tuple(weight.shape), "float32"), node.path
    )
