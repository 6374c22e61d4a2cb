"""Layers whose weights a graph holds in another form, decoded where they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from torch import Tensor

from hwaware.compression.quantize.choices import layers
from hwaware.errors import ModelError
from hwaware.graph.arguments import optional_ref
from hwaware.graph.draft import Draft
from hwaware.graph.ir import Arg, Graph, Node, Ref

# Adds the decoding of a layer's weight, which has a name and values, to the draft; returns the name of its node.
Writer: TypeAlias = Callable[[Draft, Node, str, Tensor], str]


def stored(graph: Graph, writers: Mapping[str, Writer]) -> Graph:
    """`graph` with the weights of the layers that `writers` name in the form that each writes.

    Weights that another node reads too stay as they are. Raises ModelError for a name that is no convolution or dense
    layer with weights of its own.
    """
    known = {node.name: node for node in layers(graph)}
    for name in writers:
        weight = optional_ref(known[name], "weight") if name in known else None
        if weight not in graph.tensors or "transpose" in known[name].op:
            possible = ", ".join(known) or "none"
            raise ModelError(
                f"{name!r} is no convolution or dense layer whose weights can be stored otherwise; there are {possible}"
            )
    weights = {optional_ref(known[name], "weight") for name in writers}
    # Two layers that share their weights share the form too; what reads them in another way needs them whole.
    others = [node for node in graph.nodes if node.name not in writers or not weights & {*node.refs()}]
    draft = Draft(graph, others)
    made: dict[str, str] = {}
    for node in graph.nodes:
        if node.name not in writers:
            draft.keep(node)
            continue
        weight = optional_ref(node, "weight")
        assert weight is not None
        if weight not in made:
            made[weight] = writers[node.name](draft, node, weight, graph.tensors[weight].detach())
        bias = optional_ref(node, "bias")
        changed: dict[str, Arg] = {"weight": Ref(made[weight])}
        if bias in graph.tensors:
            changed["bias"] = Ref(draft.tensor(bias, graph.tensors[bias], trained=bias in graph.parameters))
        draft.keep(replace(node, args={**node.args, **changed}))
    return draft.finish()
