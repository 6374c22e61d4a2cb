"""Channel values from weights: group lasso, for groups that no BatchNorm scales.

r = (1 - f)·√mean(w²) + f·mean|w| over the weights that make a channel (Gordon et al. 2018, arXiv:1711.06798, and its
reference implementation; f = 0 by default), the largest where several layers make it (residual sums, the query, key
and value of an attention head). Weights of different layers are of different size, and the regulariser compares
channels across layers: r is relative to its mean over the group before anything shrinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hwaware.compression.gamma import named
from hwaware.graph.arguments import ref
from hwaware.graph.channels import ChannelGroup, Member
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel
from hwaware.graph.ops import EMBEDDING

DEAD = 0.05  # of the group's mean: what is pulled to 0 by a norm circles it at the step's length


@dataclass(frozen=True)
class _Slot:
    """Positions of a tensor along `dim`, and the class each belongs to."""

    tensor: str
    dim: int
    positions: Tensor
    classes: Tensor


class LassoValues:
    """Values of `groups` in `model`; see ChannelValues. `mix` is f."""

    def __init__(self, model: GraphModel, groups: Sequence[ChannelGroup], mix: float = 0.0) -> None:
        self.trained = model
        self._parameters, self._mix = named(model), mix
        self._sizes = {group.name: group.size for group in groups}
        self._made, self._held = {}, {}
        for group in groups:
            weights = produced(model.graph, group)
            slots = [_slot(member) for member in group.members if member.tensor in self._parameters]
            self._held[group.name] = slots
            self._made[group.name] = [slot for slot in slots if (slot.tensor, slot.dim) in weights]
        with torch.no_grad():
            self._means = {name: self._norms(name).mean().clamp_min(1e-12) for name in self._sizes}

    def values(self) -> dict[str, Tensor]:
        """Relative norms."""
        return {name: self._norms(name) / self._means[name] for name in self._sizes}

    def levels(self) -> dict[str, Tensor]:
        """Relative norms above the threshold."""
        with torch.no_grad():
            return {name: value - DEAD for name, value in self.values().items()}

    def hold(self, alive: Mapping[str, Tensor]) -> None:
        """Whatever makes, carries or reads a dead channel is 0: an activation need not be 0 at 0."""
        for name, slots in self._held.items():
            if not alive[name].all():
                for slot in slots:
                    dead = slot.positions[~alive[name][slot.classes]]
                    self._parameters[slot.tensor].index_fill_(slot.dim, dead, 0.0)

    def finished(self, graph: Graph) -> Graph:
        """Nothing was beside the graph."""
        return graph

    def revived(self, graph: Graph, original: Graph, names: Mapping[str, Sequence[int]]) -> Graph:
        """Their weights, and those that read them, of `original`."""
        tensors = dict(graph.tensors)
        for name, slots in self._held.items():
            wanted = torch.tensor(list(names.get(name, ())), dtype=torch.int64)
            for slot in slots:
                positions = slot.positions[torch.isin(slot.classes, wanted)]
                old = original.tensors[slot.tensor].index_select(slot.dim, positions)
                tensors[slot.tensor] = tensors[slot.tensor].index_copy(slot.dim, positions, old)
        return replace(graph, tensors=tensors)

    def _norms(self, name: str) -> Tensor:
        """(size,), differentiable, also where all weights are 0."""
        found = []
        for slot in self._made[name]:
            weight = self._parameters[slot.tensor].index_select(slot.dim, slot.positions)
            rows = weight.movedim(slot.dim, 0).flatten(1)
            square, size = rows.square().mean(1), rows.abs().mean(1)
            count = torch.bincount(slot.classes, minlength=self._sizes[name]).clamp_min(1)
            empty = rows.new_zeros(self._sizes[name])
            square, size = (empty.index_add(0, slot.classes, each) / count for each in (square, size))
            found.append((1 - self._mix) * (square + 1e-24).sqrt() + self._mix * size)
        return found[0] if len(found) == 1 else torch.stack(found).amax(0)


def produced(graph: Graph, group: ChannelGroup) -> set[tuple[str, int]]:
    """The weights that make a group's channels, with the dimension these run along."""
    made = set()
    for node in graph.nodes:
        if node.name in group.producers:
            second = node.op.startswith("conv_transpose") or node.op in EMBEDDING
            made.add((ref(node, "weight"), 1 if second else 0))
    return made


def consumed(graph: Graph, group: ChannelGroup) -> set[tuple[str, int]]:
    """The weights that read a group's channels, with the dimension these run along."""
    read = set()
    for node in graph.nodes:
        if node.name in group.consumers:
            read.add((ref(node, "weight"), 0 if node.op.startswith("conv_transpose") else 1))
    return read


def _slot(member: Member) -> _Slot:
    pairs = [(position, number) for number, places in enumerate(member.index) for position in places]
    positions, classes = torch.tensor(pairs, dtype=torch.int64).T.contiguous()
    return _Slot(member.tensor, member.dim, positions, classes)
