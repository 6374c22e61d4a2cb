"""Evaluate what depends on no input of the model, parameters included: they change no more."""

from __future__ import annotations

from hwaware.graph.constants import call
from hwaware.graph.ir import Graph, Node
from hwaware.graph.ops import DECODE


def evaluated(graph: Graph) -> Graph:
    """`graph` with every node whose operands are all tensors of the model turned into one.

    Weights that are stored in fewer bits stay so: kernels decode them.
    """
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    for node in graph.nodes:
        names = list(node.refs())
        if node.op not in DECODE and all(name in tensors for name in names):
            tensors[node.name] = call(node, {name: tensors[name].detach() for name in names})
        else:
            nodes.append(node)
    return Graph(graph.inputs, nodes, graph.outputs, tensors, graph.parameters, graph.batched)
