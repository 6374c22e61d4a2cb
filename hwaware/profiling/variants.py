"""Random variants of a model, narrower or wider: what compression will ask a cost table about."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwaware.costs.steps import padded
from hwaware.errors import ModelError
from hwaware.graph.channels import ChannelGroup, channel_groups
from hwaware.graph.ir import Graph
from hwaware.graph.lower import Program, lower
from hwaware.graph.slicing import slice_graph
from hwaware.graph.widening import widen_graph
from hwaware.profiling.precisions import Precision, mixed

# Draws that cannot be sliced (a grouped convolution's channels do not divide, say) are drawn again.
_TRIES = 50
_PLAIN = 0.25


def prunable_groups(graph: Graph) -> list[ChannelGroup]:
    """The channel groups of `graph` that can lose channels."""
    return [group for group in channel_groups(graph) if group.pinned is None and group.size > 1]


def random_widths(groups: Sequence[ChannelGroup], rng: random.Random, low: float = 0.125) -> dict[str, int]:
    """A width for each group, any integer from the share `low` of its channels up to all of them."""
    return {group.name: rng.randint(max(1, int(group.size * low)), group.size) for group in groups}


def widened(graph: Graph, factor: float) -> Graph:
    """`graph` with `factor` times the channels wherever channels are free; its function stays the same."""
    if factor == 1:
        return graph
    return widen_graph(graph, {group.name: math.ceil(group.size * factor) for group in prunable_groups(graph)}, seed=0)


def sliced(graph: Graph, groups: Sequence[ChannelGroup], widths: Mapping[str, int]) -> Graph:
    """`graph` with its groups at `widths`, their channels kept evenly. Raises ModelError as `slice_graph` does."""
    keep = {group.name: spread(group.size, widths[group.name]) for group in groups}
    return slice_graph(graph, keep) if keep else graph


def spread(size: int, kept: int) -> list[int]:
    """`kept` of `size` channels, evenly: where a layer splits its channels every part keeps some."""
    return [index * size // kept for index in range(kept)]


@dataclass(frozen=True)
class Variants:
    """The variants of a graph by name: the same name is the same variant on every call.

    ``free0``, ``free1`` … have widths anywhere; ``step0`` … on tops of steps, which is where compression cuts. With
    `precisions` each layer of most variants is in some of those or in float32.
    """

    graph: Graph
    groups: Sequence[ChannelGroup]
    lanes: int
    precisions: Sequence[Precision] = ()

    def program(self, name: str) -> Program | None:
        """The lowered variant; None where the model has no others."""
        if not self.groups and not self.precisions:
            return None
        rng = random.Random(name)  # noqa: S311 - a draw, no secret
        for _ in range(_TRIES):
            widths = random_widths(self.groups, rng)
            if name.startswith("step"):
                widths = {group.name: min(group.size, padded(widths[group.name], self.lanes)) for group in self.groups}
            try:
                return lower(self._in_some(sliced(self.graph, self.groups, widths), rng))
            except ModelError:
                continue
        return None

    def _in_some(self, graph: Graph, rng: random.Random) -> Graph:
        """Of all variants with precisions a quarter stays in float32."""
        return mixed(graph, self.precisions, rng) if self.precisions and rng.random() > _PLAIN else graph
