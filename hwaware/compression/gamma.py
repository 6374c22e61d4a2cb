"""Channel values from BatchNorm scales: r = |γ|, one value for channels that live or die together.

Gordon et al. 2018, arXiv:1711.06798, grouping by the elementwise maximum.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hwaware.graph.arguments import optional_ref
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph
from hwaware.graph.ops import BATCH_NORM

DEAD = 0.01  # |γ| of a dead channel


@dataclass(frozen=True)
class ScaleSource:
    """A BatchNorm that carries a group's channels: its position `positions[i]` belongs to class `classes[i]`."""

    weight: str
    bias: str | None
    positions: Tensor
    classes: Tensor


Sources = Mapping[str, tuple[ScaleSource, ...]]  # by group


def scale_sources(graph: Graph, groups: Iterable[ChannelGroup]) -> dict[str, tuple[ScaleSource, ...]]:
    """The BatchNorm scales of each group that can shrink and whose channels all have some."""
    norms = {}
    for node in graph.nodes:
        weight = optional_ref(node, "weight")
        if node.op in BATCH_NORM and weight in graph.parameters:
            norms[weight] = optional_ref(node, "bias")
    sources: dict[str, tuple[ScaleSource, ...]] = {}
    for group in groups:
        found = [
            _source(member.tensor, norms[member.tensor], member.index)
            for member in group.members
            if member.tensor in norms
        ]
        covered = {number for source in found for number in source.classes.tolist()}
        if group.pinned is None and group.size > 1 and len(covered) == group.size:
            sources[group.name] = tuple(found)
    return sources


def _source(weight: str, bias: str | None, index: tuple[tuple[int, ...], ...]) -> ScaleSource:
    pairs = [(position, number) for number, places in enumerate(index) for position in places]
    positions, classes = torch.tensor(pairs, dtype=torch.int64).T.contiguous()
    return ScaleSource(weight, bias, positions, classes)


def scale_values(parameters: Mapping[str, Tensor], sources: tuple[ScaleSource, ...], size: int) -> Tensor:
    """r of a group's channels (size,), differentiable: the largest |γ| of each class."""
    values = []
    for source in sources:
        scales = parameters[source.weight].index_select(0, source.positions).abs()
        whole = scales.new_zeros(size).scatter_reduce(0, source.classes, scales, "amax", include_self=True)
        values.append(whole)
    return values[0] if len(values) == 1 else torch.stack(values).amax(0)


def named(model: nn.Module) -> dict[str, Tensor]:
    """The parameters of `model` by name."""
    return dict(model.named_parameters())


class GammaValues:
    """Values of groups with `sources` and `sizes` in `model`; see ChannelValues."""

    def __init__(self, model: nn.Module, sources: Sources, sizes: Mapping[str, int]) -> None:
        self.trained = model
        self._sources, self._sizes = sources, sizes
        self._parameters = named(model)
        # A scale that crosses zero has died, whatever its momentum makes of it afterwards.
        self._signs = {
            source.weight: torch.where(self._parameters[source.weight].detach() < 0, -1.0, 1.0)
            for found in sources.values()
            for source in found
        }

    def values(self) -> dict[str, Tensor]:
        """The largest |γ| of each class."""
        return {name: scale_values(self._parameters, found, self._sizes[name]) for name, found in self._sources.items()}

    def levels(self) -> dict[str, Tensor]:
        """The largest γ of each class in the direction it started in, above the threshold."""
        levels = {}
        with torch.no_grad():
            for name, found in self._sources.items():
                highest = self._parameters[found[0].weight].new_full((self._sizes[name],), -math.inf)
                for source in found:
                    signed = (self._parameters[source.weight] * self._signs[source.weight])[source.positions]
                    highest = highest.scatter_reduce(0, source.classes, signed, "amax", include_self=True)
                levels[name] = highest - DEAD
        return levels

    def hold(self, alive: Mapping[str, Tensor]) -> None:
        """γ and β of the dead are 0."""
        for name, found in self._sources.items():
            if alive[name].all():
                continue
            for source in found:
                positions = source.positions[~alive[name][source.classes]]
                for tensor in filter(None, (source.weight, source.bias)):
                    if tensor in self._parameters:
                        self._parameters[tensor].index_fill_(0, positions, 0.0)

    def finished(self, graph: Graph) -> Graph:
        """Nothing was beside the graph."""
        return graph

    def revived(self, graph: Graph, original: Graph, names: Mapping[str, Sequence[int]]) -> Graph:
        """γ and β of `original`: behind a ReLU zeros would stay zero."""
        tensors = dict(graph.tensors)
        for name, found in self._sources.items():
            wanted = torch.tensor(list(names.get(name, ())), dtype=torch.int64)
            for source in found:
                positions = source.positions[torch.isin(source.classes, wanted)]
                for tensor in filter(None, (source.weight, source.bias)):
                    tensors[tensor] = tensors[tensor].clone()
                    tensors[tensor][positions] = original.tensors[tensor][positions]
        return replace(graph, tensors=tensors)
