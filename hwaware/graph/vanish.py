"""What is left of a graph where values lost all their channels.

A value without channels is gone: a concatenation skips it. A layer that reads only such a value gives its
bias, and everything computed from that alone is a constant, evaluated here; an addition of nothing but zeros
goes too. Exactly what the unpruned network computes with the same channels masked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch

from hwaware.errors import ModelError
from hwaware.graph.arguments import number, optional_ref, ref
from hwaware.graph.execute import Mode, captured_batch, step
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec, refs_in
from hwaware.graph.ops import BINARY, CAT, CONV, LINEAR, PAD


def drop_vanished(graph: Graph, gone: Callable[[str], bool]) -> Graph:
    """`graph`, whose sizes are already reduced, without the values that are `gone` and with what follows.

    Raises `ModelError` when an output would be constant or nothing: some layer on the only path is empty.
    """
    state = _Remainder(graph)
    for node in graph.nodes:
        state.add(node, gone)
    for name in graph.outputs:
        if name in state.gone or name in state.constants:
            raise ModelError(
                "nothing of the input would reach the model's output: keep at least one channel of every "
                "layer that has no path around it"
            )
    outputs = tuple(state.alias.get(name, name) for name in graph.outputs)
    nodes = _reachable(state.nodes, outputs)
    used = {name for node in nodes for name in node.refs()} | set(outputs)
    tensors = {name: tensor for name, tensor in state.tensors.items() if name in used}
    return Graph(graph.inputs, nodes, outputs, tensors, graph.parameters & tensors.keys(), graph.batched)


class _Remainder:
    """The nodes kept so far, the constants found, and values that became another one's equal."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = []
        self.tensors = dict(graph.tensors)
        self.gone: set[str] = set()
        self.constants: dict[str, torch.Tensor] = {}
        self.alias: dict[str, str] = {}
        self.mode = Mode(training=False, batch=captured_batch(graph))

    def add(self, node: Node, gone: Callable[[str], bool]) -> None:
        """Sort `node` into what stays, what is constant and what is gone."""
        if gone(node.name):
            self.gone.add(node.name)
            return
        node = replace(node, args={key: self._renamed(arg) for key, arg in node.args.items()})
        lost = [name for name in node.refs() if name in self.gone]
        if lost and node.op in CONV | LINEAR and ref(node, "input") in self.gone:
            self.constants[node.name] = self._bias_alone(node)
            return
        if lost and node.op in PAD and node.args.get("mode", "constant") == "constant":
            # Only the padding itself is left.
            value = number(node, "value") if node.args.get("value") is not None else 0
            dtype = getattr(torch, node.spec.dtype)
            self.constants[node.name] = torch.full(node.spec.shape, value, dtype=dtype)
            return
        if lost and node.op in CAT:
            node = replace(node, args={key: self._without_gone(arg) for key, arg in node.args.items()})
        elif lost:
            raise ModelError(f"{node.op} in module '{node.path or '(top)'}' would be left without its input")
        live = [name for name in node.refs() if name not in self.graph.tensors]
        if live and all(name in self.constants for name in live):
            values = {**self.tensors, **self.constants}
            with torch.no_grad():
                self.constants[node.name] = step(self.graph, node)(values, self.mode)
            return
        self._keep(node)

    def _renamed(self, arg: Arg) -> Arg:
        if isinstance(arg, Ref):
            return Ref(self.alias.get(arg.name, arg.name))
        return tuple(self._renamed(item) for item in arg) if isinstance(arg, tuple) else arg

    def _without_gone(self, arg: Arg) -> Arg:
        if not isinstance(arg, tuple):
            return arg
        return tuple(item for item in arg if not (set(refs_in(item)) & self.gone))

    def _bias_alone(self, node: Node) -> torch.Tensor:
        dtype = getattr(torch, node.spec.dtype)
        bias = optional_ref(node, "bias")
        if bias is None:
            return torch.zeros(node.spec.shape, dtype=dtype)
        values = self.tensors[bias]
        if node.op in CONV:
            values = values.reshape(-1, *[1] * (len(node.spec.shape) - 2))
        return values.expand(node.spec.shape)

    def _keep(self, node: Node) -> None:
        mixed = [name for name in dict.fromkeys(node.refs()) if name in self.constants]
        if not mixed:
            if node.op == "cat.default" and len(list(node.refs())) == 1:
                self.alias[node.name] = next(node.refs())
            else:
                self.nodes.append(node)
            return
        if node.op == "add.Tensor" and not self.constants[mixed[0]].any():
            other = next(name for name in node.refs() if name not in mixed)
            if self.graph.specs[other].shape == node.spec.shape:
                self.alias[node.name] = other
                return
        for name in mixed:
            self._store(name, full=node.op not in BINARY)
        if node.op not in BINARY:
            renaming = {name: f"{name}_full" for name in mixed}
            node = replace(node, args={key: _substitute(arg, renaming) for key, arg in node.args.items()})
        self.nodes.append(node)

    def _store(self, name: str, *, full: bool) -> None:
        """The constant as a tensor of the graph, one row where rows are equal; expanded again if `full`."""
        value = self.constants[name]
        shape = tuple(value.shape)
        for dim in range(value.dim()):
            first = value.narrow(dim, 0, 1)
            if bool((value == first).all()):
                value = first
        self.tensors[name] = value.clone()
        if not full or f"{name}_full" in {node.name for node in self.nodes}:
            return
        batch = captured_batch(self.graph)
        sizes = tuple(
            -1 if self.graph.batched and dim == 0 and size == batch else size for dim, size in enumerate(shape)
        )
        args: Mapping[str, Arg] = {"self": Ref(name), "size": sizes, "implicit": False}
        spec = Spec(shape, str(value.dtype).removeprefix("torch."))
        self.nodes.append(Node(f"{name}_full", "expand.default", args, spec, ""))


def _substitute(arg: Arg, renaming: Mapping[str, str]) -> Arg:
    if isinstance(arg, Ref):
        return Ref(renaming.get(arg.name, arg.name))
    return tuple(_substitute(item, renaming) for item in arg) if isinstance(arg, tuple) else arg


def _reachable(nodes: list[Node], outputs: tuple[str, ...]) -> list[Node]:
    needed = set(outputs)
    kept: list[Node] = []
    for node in reversed(nodes):
        if node.name in needed:
            needed.update(node.refs())
            kept.append(node)
    return kept[::-1]
