"""Channel values: what the regulariser pulls on, r >= 0 for every channel, and when a channel is dead.

Three kinds, after Gordon et al. 2018 (arXiv:1711.06798) and its reference implementation: the scale of a BatchNorm
(`gamma`), the norm of a channel's weights (`lasso`, for nets without BatchNorm and for transformers) and a stochastic
gate (`gate`). By default a group has scales where BatchNorm covers it, and norms elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor, nn

from hwaware.compression.gamma import GammaValues, scale_sources
from hwaware.compression.gates import GateValues
from hwaware.compression.lasso import LassoValues
from hwaware.errors import ModelError
from hwaware.graph.channels import ChannelGroup
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

AUTO, GAMMA, LASSO, GATE = "auto", "gamma", "lasso", "gate"
KINDS = (AUTO, GAMMA, LASSO, GATE)


class ChannelValues(Protocol):
    """The values of some groups of a model while it trains. Tensors are by group, one number a channel."""

    @property
    def trained(self) -> nn.Module:
        """The module to train in the model's place."""

    def values(self) -> dict[str, Tensor]:
        """r, differentiable, about 1 for an average channel before anything shrinks."""

    def levels(self) -> dict[str, Tensor]:
        """How far each channel is above death: dead at or below 0. Without gradients."""

    def hold(self, alive: Mapping[str, Tensor]) -> None:
        """Keep channels that are not `alive` (bool) at zero; called without gradients behind every step."""

    def finished(self, graph: Graph) -> Graph:
        """The trained `graph` with what training had beside it folded in."""

    def revived(self, graph: Graph, original: Graph, names: Mapping[str, Sequence[int]]) -> Graph:
        """`graph` with those channels as they were in `original`: at zero they would stay there."""


class Joint:
    """Values of several kinds as one."""

    def __init__(self, parts: Sequence[ChannelValues]) -> None:
        self._parts = parts

    @property
    def trained(self) -> nn.Module:
        """That of the first part: only gates have one of their own, and they stand alone."""
        return self._parts[0].trained

    def values(self) -> dict[str, Tensor]:
        """Those of all parts."""
        return {name: value for part in self._parts for name, value in part.values().items()}

    def levels(self) -> dict[str, Tensor]:
        """Those of all parts."""
        return {name: value for part in self._parts for name, value in part.levels().items()}

    def hold(self, alive: Mapping[str, Tensor]) -> None:
        """Each part holds its own."""
        for part in self._parts:
            part.hold(alive)

    def finished(self, graph: Graph) -> Graph:
        """Folded by each part."""
        for part in self._parts:
            graph = part.finished(graph)
        return graph

    def revived(self, graph: Graph, original: Graph, names: Mapping[str, Sequence[int]]) -> Graph:
        """Revived by each part."""
        for part in self._parts:
            graph = part.revived(graph, original, names)
        return graph


def shrinkable(
    graph: Graph, groups: Sequence[ChannelGroup], kind: str = AUTO
) -> tuple[tuple[ChannelGroup, ...], dict[str, str]]:
    """The groups that values of this kind can shrink, and for every other group why not.

    Raises ModelError where there are none: a regulariser that reaches nothing would change nothing, silently.
    """
    fixed = {group.name: group.pinned for group in groups if group.pinned is not None}
    fixed |= {group.name: "it has one channel" for group in groups if group.pinned is None and group.size == 1}
    if kind == GAMMA:
        covered = scale_sources(graph, groups)
        fixed |= {
            group.name: "no BatchNorm scales its channels"
            for group in groups
            if group.name not in covered and group.name not in fixed
        }
    free = tuple(group for group in groups if group.name not in fixed)
    if not free:
        reasons = "; ".join(f"{name}: {why}" for name, why in list(fixed.items())[:4])
        hint = "put BatchNorm behind the convolutions, or use channel values lasso" if kind == GAMMA else ""
        raise ModelError(
            f"there are no channels to shrink ({reasons or 'the model has no layers with channels'})"
            + (f": {hint}" if hint else "")
        )
    return free, fixed


def channel_values(kind: str, model: GraphModel, groups: Sequence[ChannelGroup]) -> ChannelValues:
    """The values of `groups`, all of which `shrinkable` gave for this `kind`, while `model` trains."""
    if kind == GATE:
        return GateValues(model, groups)
    sources = scale_sources(model.graph, groups)
    covered = [group for group in groups if group.name in sources and kind != LASSO]
    others = [group for group in groups if group not in covered]
    parts: list[ChannelValues] = []
    if covered:
        sizes = {group.name: group.size for group in covered}
        parts.append(GammaValues(model, {name: sources[name] for name in sizes}, sizes))
    if others:
        parts.append(LassoValues(model, others))
    return parts[0] if len(parts) == 1 else Joint(parts)
