"""Coupled channel groups: which channels of which tensors must live or die together.

Every channel gets an identity, the identities run through the graph's own shape operators, and operators
that join channels tie them (`channel_rules`). A class of tied identities is the smallest thing that can be
pruned; the classes on one layer's output form a group, whose classes can be kept or dropped one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from hwaware.errors import ModelError
from hwaware.graph.channel_rules import RULES
from hwaware.graph.identities import Ids, varying
from hwaware.graph.ir import Graph, Node
from hwaware.graph.tracer import Axis, Tracer


@dataclass(frozen=True)
class Member:
    """A tensor that carries a group's channels: for every class its indices along dimension `dim`."""

    tensor: str
    dim: int
    index: tuple[tuple[int, ...], ...]

    @property
    def unit(self) -> tuple[int, ...]:
        """How many positions each class has: 16 after a 4×4 map was flattened, 2 behind a multiplier 2."""
        return tuple(len(positions) for positions in self.index)


@dataclass(frozen=True)
class ChannelGroup:
    """`size` classes of coupled channels, named after the first layer that produces them.

    `pinned` is the reason why none may go, None where they may. `members` are all tensors to slice.
    `producers` and `consumers` are the nodes whose weights have the channels as output or input; `carriers`
    the nodes with one number or filter a channel (batch norm, depthwise convolution, PReLU).
    """

    name: str
    size: int
    pinned: str | None
    members: tuple[Member, ...]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    carriers: tuple[str, ...]


@dataclass(frozen=True)
class Trace:
    """A traced graph with its ties solved: `classes` maps identities to their class."""

    tracer: Tracer
    classes: Ids
    pinned: dict[int, str]
    groups: tuple[ChannelGroup, ...]
    members: dict[str, tuple[int, ...]]  # group -> its classes, in the group's order


def channel_groups(graph: Graph) -> tuple[ChannelGroup, ...]:
    """The groups of `graph` in its own order, pinned ones included.

    Raises `ModelError` with the operator and the module path where identities cannot be followed.
    """
    return trace(graph).groups


def run_identities(tracer: Tracer) -> Tracer:
    """Follow channel identities through all nodes of the tracer's graph."""
    for name, spec in tracer.graph.inputs.items():
        tracer.values[name] = np.zeros([1] * len(spec.shape), dtype=np.int64)
    for node in tracer.graph.nodes:
        rule = RULES.get(node.op)
        if rule is None:
            raise _untraceable(node, "has no rule for channels")
        try:
            tracer.values[node.name] = rule(tracer, node)
        except (ValueError, IndexError) as error:
            raise _untraceable(node, str(error)) from error
    return tracer


def trace(graph: Graph) -> Trace:
    """`graph` traced, and its groups read off."""
    tracer = run_identities(Tracer(graph))
    for name in graph.outputs:
        tracer.pin(name, "an output of the model")
    for name, axis in _used_twice(tracer):
        tracer.pin(name, "used both as a weight and by itself")
        tracer.identities.pin(axis, "used both as a weight and by itself")
    tracer.make_rectangular()
    classes, pinned = tracer.identities.solve()
    members = _partition(tracer, classes)
    along = {axis: classes[ids] for axis, ids in tensor_axes(tracer, classes).items()}
    groups = tuple(_group(tracer, along, pinned, name, roots) for name, roots in members.items())
    return Trace(tracer, classes, pinned, groups, members)


def _untraceable(node: Node, why: str) -> ModelError:
    return ModelError(f"channels cannot be followed through {node.op} in module '{node.path or '(top)'}': {why}")


def _used_twice(tracer: Tracer) -> Iterable[tuple[str, Ids]]:
    return [(name, ids) for (name, _), ids in tracer.axes.items() if name in tracer.elements]


def _partition(tracer: Tracer, classes: Ids) -> dict[str, tuple[int, ...]]:
    """Classes that meet on the output of some layer are one group; named after the first such layer."""
    groups: list[tuple[int, str, dict[int, None]]] = []
    for order, (tensor, dim) in enumerate(dict.fromkeys(tracer.outputs.values())):
        first, name = order, tensor.removesuffix(".weight")
        found = dict.fromkeys(classes[tracer.axes[tensor, dim]].tolist())
        apart = []
        for other in groups:
            if other[2].keys() & found.keys():
                found = {**other[2], **found}
                first, name = min((first, name), other[:2])
            else:
                apart.append(other)
        groups = [*apart, (first, name, found)]
    return {name: tuple(roots) for _, name, roots in sorted(groups, key=lambda group: group[0])}


def _group(
    tracer: Tracer, along: Mapping[Axis, Ids], pinned: dict[int, str], name: str, roots: tuple[int, ...]
) -> ChannelGroup:
    """The group of these classes; `along` has the class of every position of every tensor dimension."""
    members = []
    held: dict[Axis, None] = {}
    number = {root: i for i, root in enumerate(roots)}
    wanted = np.asarray(roots)
    for (tensor, dim), found in along.items():
        positions = np.flatnonzero(np.isin(found, wanted))
        if not positions.size:
            continue
        index: list[list[int]] = [[] for _ in roots]
        for position in positions.tolist():
            index[number[int(found[position])]].append(position)
        members.append(Member(tensor, dim, tuple(tuple(of_class) for of_class in index)))
        held[tensor, dim] = None
    return ChannelGroup(
        name,
        len(roots),
        next((pinned[root] for root in roots if root in pinned), None),
        tuple(members),
        tuple(node for node, axis in tracer.outputs.items() if axis in held),
        tuple(node for node, axis in tracer.inputs.items() if axis in held),
        tuple(
            node
            for node, axes in tracer.carried.items()
            if node not in tracer.outputs and any(axis in held for axis in axes)
        ),
    )


def tensor_axes(tracer: Tracer, classes: Ids) -> dict[Axis, Ids]:
    """Identities along every tensor dimension that can shrink."""
    axes = dict(tracer.axes)
    for name, ids in tracer.elements.items():
        dims = varying(classes[ids])
        # Without variation the tensor goes as a whole, along whichever dimension is written here.
        dim = dims[0] if dims else int(np.argmax(ids.shape))
        axes[name, dim] = np.moveaxis(ids, dim, 0).reshape(ids.shape[dim], -1)[:, 0]
    return axes
