"""Channel values from BatchNorm scales: r = |γ|, one value for channels that live or die together.

Gordon et al. 2018, arXiv:1711.06798, grouping by the elementwise maximum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hwaware.errors import ModelError
from hwaware.graph.arguments import optional_ref
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph
from hwaware.graph.ops import BATCH_NORM


@dataclass(frozen=True)
class ScaleSource:
    """A BatchNorm that carries a group's channels: its position `positions[i]` belongs to class `classes[i]`."""

    weight: str
    bias: str | None
    positions: Tensor
    classes: Tensor


Sources = Mapping[str, tuple[ScaleSource, ...]]  # by group


def scale_sources(
    graph: Graph, groups: Iterable[ChannelGroup]
) -> tuple[dict[str, tuple[ScaleSource, ...]], dict[str, str]]:
    """The BatchNorm scales of each group that can shrink, and for every other group why it cannot.

    Raises ModelError where no group has any: a regulariser that reaches nothing would change nothing, silently.
    """
    norms = {}
    for node in graph.nodes:
        weight = optional_ref(node, "weight")
        if node.op in BATCH_NORM and weight in graph.parameters:
            norms[weight] = optional_ref(node, "bias")
    sources: dict[str, tuple[ScaleSource, ...]] = {}
    fixed: dict[str, str] = {}
    for group in groups:
        found = [
            _source(member.tensor, norms[member.tensor], member.index)
            for member in group.members
            if member.tensor in norms
        ]
        covered = {number for source in found for number in source.classes.tolist()}
        if group.pinned is not None:
            fixed[group.name] = group.pinned
        elif len(covered) < group.size:
            fixed[group.name] = "no BatchNorm scales its channels"
        elif group.size == 1:
            fixed[group.name] = "it has one channel"
        else:
            sources[group.name] = tuple(found)
    if not sources:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(fixed.items())[:4])
        raise ModelError(
            "MorphNet finds no channels to shrink, it works on the scales of BatchNorm layers "
            f"({reasons or 'the model has no layers with channels'}): put BatchNorm behind the convolutions"
        )
    return sources, fixed


def _source(weight: str, bias: str | None, index: tuple[tuple[int, ...], ...]) -> ScaleSource:
    pairs = [(position, number) for number, places in enumerate(index) for position in places]
    positions, classes = torch.tensor(pairs, dtype=torch.int64).T.contiguous()
    return ScaleSource(weight, bias, positions, classes)


def channel_values(parameters: Mapping[str, Tensor], sources: tuple[ScaleSource, ...], size: int) -> Tensor:
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
