"""A graph being written: nodes one by one, tensors under names that are still free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec


def beside(weight: str, what: str) -> str:
    """The name of a tensor that belongs to the layer of `weight`: ``conv.bias`` beside ``conv.weight``."""
    layer, dot, leaf = weight.rpartition(".")
    return f"{layer}{dot}{what}" if leaf == "weight" else f"{weight}_{what}"


class Draft:
    """A new graph from parts of `graph`; its inputs are the same.

    `untouched` are nodes that will be kept with the tensors they read: those names are not free.
    """

    def __init__(self, graph: Graph, untouched: Iterable[Node]) -> None:
        self._graph = graph
        self._nodes: list[Node] = []
        self._tensors: dict[str, Tensor] = {}
        self._trained: set[str] = set()
        self._renamed: dict[str, str] = {}
        held = {name for node in untouched for name in node.refs()} | set(graph.outputs)
        self._values = set(graph.inputs) | {node.name for node in graph.nodes}
        for name, tensor in graph.tensors.items():
            if name in held:
                self.tensor(name, tensor, trained=name in graph.parameters)

    def keep(self, node: Node, sources: Mapping[str, str] | None = None) -> None:
        """Add `node` with its name; values in `sources` are read under their new names."""
        args = {key: self._read(arg, sources or {}) for key, arg in node.args.items()}
        self._nodes.append(replace(node, args=args))

    def add(self, name: str, op: str, args: Mapping[str, Arg], spec: Spec, path: str) -> str:
        """Add a new node; its name is `name`, numbered where that is taken."""
        name = self.free(name)
        self._values.add(name)
        self._nodes.append(Node(name, op, {key: self._read(arg, {}) for key, arg in args.items()}, spec, path))
        return name

    def tensor(self, name: str, tensor: Tensor, *, trained: bool = False) -> str:
        """Store `tensor`; the name is `name`, numbered where another tensor has it."""
        held = self._tensors.get(name)
        if held is not None and held.dtype == tensor.dtype and torch.equal(held, tensor):
            return name
        return self.own(name, tensor, trained=trained)

    def own(self, name: str, tensor: Tensor, *, trained: bool = False) -> str:
        """Store `tensor` apart, even from an equal one, for a single reader."""
        name = self.free(name)
        self._tensors[name] = tensor
        if trained:
            self._trained.add(name)
        return name

    def rename(self, name: str, source: str) -> None:
        """The value `name` is gone: what reads it reads `source`."""
        self._renamed[name] = self._renamed.get(source, source)

    def finish(self) -> Graph:
        """The graph, with the tensors that something reads."""
        graph = self._graph
        outputs = tuple(self._renamed.get(name, name) for name in graph.outputs)
        used = {name for node in self._nodes for name in node.refs()} | set(outputs)
        # In the order of the first graph: what lists tensors should not change its order for nothing.
        names = [
            name for name in dict.fromkeys([*graph.tensors, *self._tensors]) if name in used & self._tensors.keys()
        ]
        tensors = {name: self._tensors[name] for name in names}
        trained = frozenset(self._trained & tensors.keys())
        return Graph(dict(graph.inputs), self._nodes, outputs, tensors, trained, graph.batched)

    def _read(self, arg: Arg, sources: Mapping[str, str]) -> Arg:
        if isinstance(arg, Ref):
            name = sources.get(arg.name, arg.name)
            return Ref(self._renamed.get(name, name))
        if isinstance(arg, tuple):
            return tuple(self._read(item, sources) for item in arg)
        return arg

    def free(self, name: str) -> str:
        """`name`, numbered where that is taken."""
        taken = self._values | self._tensors.keys()
        if name not in taken:
            return name
        return next(f"{name}_{count}" for count in range(1, len(taken) + 2) if f"{name}_{count}" not in taken)
