"""State of one pass of channel identities through a graph; the rules of `channel_rules` fill it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hwaware.graph.identities import Identities, Ids, varying
from hwaware.graph.ir import Graph, Node

Axis = tuple[str, int]  # a tensor of the graph and one of its dimensions


@dataclass
class Tracer:
    """Identities of every value and of every tensor dimension that channels run along.

    The identities of a value have its rank; a dimension of size 1 means that they do not vary along it.
    `seeds` gives the identities of some tensor dimensions instead of fresh ones.
    """

    graph: Graph
    seeds: Mapping[Axis, Ids] = field(default_factory=dict)
    identities: Identities = field(default_factory=Identities)
    values: dict[str, Ids] = field(default_factory=dict)
    axes: dict[Axis, Ids] = field(default_factory=dict)  # of weights, biases, statistics
    elements: dict[str, Ids] = field(default_factory=dict)  # of tensors used element by element
    outputs: dict[str, Axis] = field(default_factory=dict)  # node that creates channels -> where
    inputs: dict[str, Axis] = field(default_factory=dict)  # node that reads channels -> where
    carried: dict[str, list[Axis]] = field(default_factory=dict)  # node -> per-channel tensors
    met: dict[Axis, Ids] = field(default_factory=dict)  # the value's channels that an axis was first used with

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a value or tensor."""
        return self.graph.specs[name].shape

    def ids(self, name: str) -> Ids:
        """Identities of a value; those of a tensor that is used element by element."""
        if name in self.values:
            return self.values[name]
        shape = self.shape(name)
        if len(shape) == 1:
            return self.axis(name, 0)
        if name not in self.elements:
            self.elements[name] = self.identities.fresh(*shape)
        return self.elements[name]

    def axis(self, tensor: str, dim: int) -> Ids:
        """Identities along dimension `dim` of a tensor; the same ones for every node that uses it."""
        key = (tensor, dim)
        if key not in self.axes:
            size = self.shape(tensor)[dim]
            self.axes[key] = self.seeds[key] if key in self.seeds else self.identities.fresh(size)
        return self.axes[key]

    def join(self, tensor: str, dim: int, ids: Ids) -> None:
        """A tensor's dimension runs along the channels `ids`."""
        self.identities.tie(self.axis(tensor, dim), ids)
        self.met.setdefault((tensor, dim), ids)

    def along(self, name: str, dim: int) -> Ids:
        """Identities along one dimension of a value, as a vector of its size; ties the others."""
        ids = self.ids(name)
        rows = np.moveaxis(ids, dim, 0).reshape(ids.shape[dim], -1)
        if rows.shape[1] > 1:
            self.identities.tie(rows[:, :1], rows[:, 1:])
        return np.broadcast_to(rows[:, 0], (self.shape(name)[dim],))

    def carry(self, node: Node, tensor: str | None, ids: Ids) -> None:
        """`tensor` of `node` holds one number for each of the channels `ids` (in its first dimension)."""
        if tensor is None:
            return
        if tensor not in self.graph.tensors:
            self.pin(tensor, f"{node.name} computes its per-channel values")
            self.identities.pin(ids, f"{node.name} computes its per-channel values")
            return
        self.join(tensor, 0, ids)
        self.carried.setdefault(node.name, []).append((tensor, 0))

    def pin(self, name: str, reason: str) -> None:
        """Nothing of this value may go."""
        self.identities.pin(self.ids(name), reason)

    def make_rectangular(self) -> None:
        """Tie until values lose whole slabs: a dimension shrinks for all positions of the others at once.

        Where channels vary along several dimensions of a value (a shuffle's ``groups × channels``), they are
        tied across all but the longest one.
        """
        while True:
            classes, pinned = self.identities.solve()
            fixed = np.array([0, *pinned], dtype=np.int64)
            changed = False
            for ids in (*self.values.values(), *self.elements.values()):
                dims = varying(classes[ids])
                if len(dims) > 1 and not np.isin(classes[ids], fixed).all():
                    kept = max(dims, key=lambda dim: (ids.shape[dim], dim))
                    rows = np.moveaxis(ids, kept, 0).reshape(ids.shape[kept], -1)
                    self.identities.tie(rows[:, :1], rows[:, 1:])
                    changed = True
            if not changed:
                return


def channels_dim(ids: Ids, rank: int, dim: int = 1) -> Ids:
    """A vector of identities as those of a value of `rank` dimensions with its channels in `dim`."""
    shape = [1] * rank
    shape[dim] = len(ids)
    return ids.reshape(shape)
