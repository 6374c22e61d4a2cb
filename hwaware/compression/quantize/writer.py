"""The walk that turns a float graph into a quantised one; what levels and layers look like is for a subclass to say.

The integer graph and the simulated one come from the same walk, so that they differ in nothing but that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor

from hwaware.compression.quantize.affine import Affine, Ranges
from hwaware.compression.quantize.choices import INTEGER, Choices, settled
from hwaware.compression.quantize.placement import placement
from hwaware.compression.quantize.scales import weight_scales
from hwaware.compression.quantize.weights import GROUP
from hwaware.errors import ModelError
from hwaware.graph.draft import Draft
from hwaware.graph.ir import Graph, Node


class Writer(ABC):
    """Writes `graph` anew with the layers of `choices` quantised.

    `ranges` has the levels of every value that becomes some, `scales` those of the weights of some layers, by node;
    others are searched. Raises ModelError for choices and ranges that do not fit the graph.
    """

    def __init__(
        self,
        graph: Graph,
        choices: Choices,
        ranges: Ranges,
        scales: Mapping[str, Tensor] | None = None,
        group: int = GROUP,
    ) -> None:
        self.graph = graph
        self.group = group
        self.precisions = settled(graph, choices).precisions
        self.place = placement(graph, lambda name: self.precisions.get(name) in INTEGER)
        self.ranges = self._ranges(ranges)
        known = {name: scale for name, scale in (scales or {}).items() if name in self.precisions}
        searched = {name: value for name, value in self.precisions.items() if name not in known}
        self.scales = {**weight_scales(graph, searched, self.ranges, group), **known}
        self.draft = Draft(graph, [node for node in graph.nodes if node.name not in self.precisions])
        self.levels: dict[str, str] = {}  # value -> where its levels are

    def write(self) -> Graph:
        """The new graph."""
        for name in self.graph.inputs:
            if name in self.place.quantised:
                self.levels[name] = self.quantize(name, "")
        for node in self.graph.nodes:
            precision = self.precisions.get(node.name)
            if precision in INTEGER:
                self.layer(node)
            elif precision is not None:
                self.stored(node)
            elif node.name in self.place.moved:
                self.move(node)
            else:
                self.plain(node)
            if node.name in self.place.quantised:
                self.levels[node.name] = self.quantize(node.name, node.path)
        return self.draft.finish()

    def floats(self, node: Node) -> dict[str, str]:
        """Where `node` finds in float32 those of its sources that exist as levels only."""
        return {name: self.real(name, node) for name in dict.fromkeys(node.refs()) if name in self.place.dequantised}

    def plain(self, node: Node) -> None:
        """Write `node`, which computes in float32."""
        self.draft.keep(node, self.floats(node))

    @abstractmethod
    def quantize(self, value: str, path: str) -> str:
        """Write the levels of a value in float32; returns their name."""

    @abstractmethod
    def real(self, value: str, reader: Node) -> str:
        """Write, for `reader`, the float32 value of one that exists as levels; returns its name."""

    @abstractmethod
    def move(self, node: Node) -> None:
        """Write `node`, which computes on levels."""

    @abstractmethod
    def layer(self, node: Node) -> None:
        """Write the layer `node`, which computes in integers."""

    @abstractmethod
    def stored(self, node: Node) -> None:
        """Write the layer `node`, of which only the weight is quantised."""

    def _ranges(self, ranges: Ranges) -> dict[str, Affine]:
        found = {}
        for name, root in self.place.root.items():
            levels = ranges.get(name) or ranges.get(root)
            if levels is None:
                raise ModelError(f"value {name} has no range: calibrate the model with these choices")
            if levels != (ranges.get(root) or levels):
                raise ModelError(f"values {root} and {name} share their levels, but not their ranges: calibrate again")
            found[name] = levels
        return found
