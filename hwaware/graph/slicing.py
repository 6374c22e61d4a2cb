"""Cut channels out of a graph, or mask them in place: two graphs that compute the same.

`keep` names for some groups the classes that stay (indices from 0 to the group's size - 1); other groups stay
whole. A group may lose all of its classes where the model has a path around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from hwaware.errors import ModelError
from hwaware.graph.arguments import optional_ref
from hwaware.graph.channels import Trace, tensor_axes, trace
from hwaware.graph.execute import infer
from hwaware.graph.identities import Ids
from hwaware.graph.ir import Graph
from hwaware.graph.ops import BATCH_NORM
from hwaware.graph.resize import Resizer
from hwaware.graph.vanish import drop_vanished

Keep = Mapping[str, Sequence[int]]


def slice_graph(graph: Graph, keep: Keep) -> Graph:
    """`graph` physically smaller: only the kept channels remain, in their order.

    Computes in evaluation mode exactly what ``masked(graph, keep)`` computes. Raises `ModelError` for an
    unknown or pinned group, for classes outside the group, and when nothing of the input would reach the
    output.
    """
    traced = trace(graph)
    resizer = Resizer(traced, _copies(traced, keep))
    tensors = _sliced_tensors(traced, resizer.copies)
    nodes = [resizer.node(node) for node in graph.nodes]
    smaller = Graph(graph.inputs, nodes, graph.outputs, tensors, graph.parameters, graph.batched)
    gone = {node.name for node in nodes if resizer.gone(node.name)}
    smaller = drop_vanished(smaller, gone.__contains__)
    return infer(smaller, smaller.inputs)


def masked(graph: Graph, keep: Keep) -> Graph:
    """`graph` with its shapes as they are and the dropped channels zero.

    Weights, biases, batch-norm scales, shifts and means of a dropped channel are zero, and so are all weights
    that read it: an activation with a value other than 0 at 0 (sigmoid) has no effect either.
    """
    traced = trace(graph)
    copies = _copies(traced, keep)
    tensors = dict(graph.tensors)
    variances = _variances(graph)
    for (name, dim), ids in traced.tracer.axes.items():
        dropped = copies[traced.classes[ids]] == 0
        if dropped.any() and (name, dim) not in variances:
            tensors[name] = tensors[name].index_fill(dim, torch.from_numpy(np.flatnonzero(dropped)), 0)
    return Graph(graph.inputs, graph.nodes, graph.outputs, tensors, graph.parameters, graph.batched)


def _copies(traced: Trace, keep: Keep) -> Ids:
    """1 for every class that stays, 0 for every other."""
    groups = {group.name: group for group in traced.groups}
    copies = np.ones(len(traced.classes), dtype=np.int64)
    for name, kept in keep.items():
        group = groups.get(name)
        if group is None:
            raise ModelError(f"the model has no channel group {name!r}; it has {', '.join(groups)}")
        indices = [int(index) for index in kept]
        if len(set(indices)) != len(indices) or any(not 0 <= index < group.size for index in indices):
            raise ModelError(f"channel group {name!r} has the classes 0 to {group.size - 1}, once each")
        if group.pinned is not None and len(indices) != group.size:
            raise ModelError(f"channel group {name!r} cannot lose channels: {group.pinned}")
        dropped = set(range(group.size)) - set(indices)
        copies[[traced.members[name][index] for index in dropped]] = 0
    return copies


def _sliced_tensors(traced: Trace, copies: Ids) -> dict[str, torch.Tensor]:
    tensors = dict(traced.tracer.graph.tensors)
    for (name, dim), ids in tensor_axes(traced.tracer, traced.classes).items():
        kept = copies[traced.classes[ids]] > 0
        if not kept.all():
            tensors[name] = tensors[name].index_select(dim, torch.from_numpy(np.flatnonzero(kept)))
    return tensors


def _variances(graph: Graph) -> set[tuple[str, int]]:
    """Running variances: zero would not be one."""
    names = (optional_ref(node, "running_var") for node in graph.nodes if node.op in BATCH_NORM)
    return {(name, 0) for name in names if name is not None}
