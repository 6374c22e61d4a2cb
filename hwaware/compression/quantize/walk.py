"""A graph run node by node over several batches at once, to look at values inside and to change tensors on the way.

Only values that are read later are kept, for all batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hwaware.graph.execute import Mode, step
from hwaware.graph.ir import Graph, Node

Inputs = Sequence[tuple[Tensor, ...]]  # by batch


class Walk:
    """Runs `graph`, in evaluation mode and without gradients, over `batches` of its inputs."""

    def __init__(self, graph: Graph, batches: Inputs) -> None:
        self.graph = graph
        self._tensors = dict(graph.tensors)
        self._values = [dict(zip(graph.inputs, inputs, strict=True)) for inputs in batches]
        self._modes = [Mode(False, inputs[0].shape[0] if inputs[0].dim() else 1) for inputs in batches]
        self._next = 0
        self._last = {name: place for place, node in enumerate(graph.nodes) for name in node.refs()}

    def replace(self, name: str, tensor: Tensor) -> None:
        """Use `tensor` from here on for `name`, a tensor of the graph or a value that is there."""
        if name in self._tensors:
            self._tensors[name] = tensor
        else:
            for values in self._values:
                values[name] = tensor

    def values(self, name: str) -> list[Tensor]:
        """A value, by batch; the value must still be read later, or be the last one computed."""
        if name in self._tensors:
            return [self._tensors[name]] * len(self._values)
        return [values[name] for values in self._values]

    def before(self, name: str) -> None:
        """Run up to the node `name`, and not that itself."""
        while self.graph.nodes[self._next].name != name:
            self._step()

    def nodes(self) -> Iterator[Node]:
        """Run node after node, each given when its value is there."""
        while self._next < len(self.graph.nodes):
            yield self._step()

    def through(self, name: str) -> list[Tensor]:
        """Run up to the node `name`; its value, by batch."""
        self.before(name)
        self._step()
        return self.values(name)

    @torch.no_grad()
    def _step(self) -> Node:
        # What the node before this one read last is dropped only now, so that it could be looked at.
        for name in {name for node in self.graph.nodes[: self._next][-1:] for name in (*node.refs(), node.name)}:
            if self._last.get(name, -1) < self._next:
                for values in self._values:
                    values.pop(name, None)
        node = self.graph.nodes[self._next]
        run = step(self.graph, node)
        for values, mode in zip(self._values, self._modes, strict=True):
            values[node.name] = run({**self._tensors, **values}, mode)
        self._next += 1
        return node
