"""A captured graph as an `nn.Module`: runs, trains and saves like the module it was captured from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from hwaware.errors import ModelError
from hwaware.graph.execute import Mode, infer, step
from hwaware.graph.ir import Arg, Graph, Node, Spec
from hwaware.graph.ops import EMBEDDING, EXPAND, RESHAPE


class GraphModel(nn.Module):
    """Runs `graph`; `state_dict()` has exactly the names of ``graph.tensors``.

    Parameters of the graph are trained, its other tensors are buffers; all of them are copies. In training
    mode batch norm uses and updates batch statistics and dropout drops. A batched graph takes any batch size,
    another one exactly the shapes it was captured with. `example_inputs` defaults to random inputs of a fixed
    seed.
    """

    def __init__(self, graph: Graph, example_inputs: Sequence[torch.Tensor] | None = None) -> None:
        super().__init__()
        self._structure = Graph(
            dict(graph.inputs), list(graph.nodes), graph.outputs, {}, graph.parameters, graph.batched
        )
        self._registry: list[tuple[str, dict[str, Any], str]] = []
        for name, tensor in graph.tensors.items():
            self._register(name, tensor.detach().clone(memory_format=torch.contiguous_format))
        self._steps = [step(graph, node) for node in graph.nodes]
        self._dying = _last_uses(graph)
        self.example_inputs = tuple(example_inputs) if example_inputs is not None else examples(graph)

    def _register(self, name: str, tensor: torch.Tensor) -> None:
        *scopes, leaf = name.split(".")
        owner: nn.Module = self
        for scope in scopes:
            # Written past add_module: a user's submodule may well be called "graph", "type" or "half".
            child = owner._modules.get(scope) or nn.Module()
            owner._modules[scope] = child
            owner = child
        if name in self._structure.parameters:
            owner._parameters[leaf] = nn.Parameter(tensor, requires_grad=tensor.is_floating_point())
            self._registry.append((name, owner._parameters, leaf))
        else:
            owner._buffers[leaf] = tensor
            self._registry.append((name, owner._buffers, leaf))

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The output tensor, or a tuple of them where the graph has several.

        Raises `ModelError` for inputs of another number or shape than the graph has.
        """
        self._check(inputs)
        values: dict[str, torch.Tensor] = {name: table[leaf] for name, table, leaf in self._registry}
        values.update(zip(self._structure.inputs, inputs, strict=True))
        batch = inputs[0].shape[0] if inputs and inputs[0].dim() else 1
        mode = Mode(self.training, batch)
        for node, run, dying in zip(self._structure.nodes, self._steps, self._dying, strict=True):
            values[node.name] = run(values, mode)
            for name in dying:
                del values[name]
        outputs = tuple(values[name] for name in self._structure.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _check(self, inputs: Sequence[torch.Tensor]) -> None:
        specs = self._structure.inputs
        if len(inputs) != len(specs):
            raise ModelError(f"the model takes {len(specs)} inputs ({', '.join(specs)}), not {len(inputs)}")
        for (name, spec), value in zip(specs.items(), inputs, strict=True):
            first = 1 if self._structure.batched else 0
            if value.dim() != len(spec.shape) or tuple(value.shape[first:]) != spec.shape[first:]:
                wanted = ", ".join(["N", *map(str, spec.shape[1:])] if first else map(str, spec.shape))
                raise ModelError(f"input {name} has shape {tuple(value.shape)}, the model takes ({wanted})")

    @property
    def graph(self) -> Graph:
        """The graph with the current tensors, detached but not copied."""
        tensors = {name: table[leaf].detach() for name, table, leaf in self._registry}
        shape = self._structure
        return Graph(dict(shape.inputs), list(shape.nodes), shape.outputs, tensors, shape.parameters, shape.batched)

    def graph_for(self, example_inputs: Sequence[torch.Tensor]) -> Graph:
        """The graph for inputs of exactly these shapes: specs derived again, no ``-1`` left.

        Raises `ModelError` when the graph cannot take these shapes.
        """
        self._check(example_inputs)
        graph = self.graph
        specs = {name: Spec.of(value) for name, value in zip(graph.inputs, example_inputs, strict=True)}
        try:
            inferred = infer(graph, specs)
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            shapes = ", ".join(str(spec.shape) for spec in specs.values())
            raise ModelError(f"the model cannot run on inputs of shape {shapes}: {error}") from error
        nodes = [_without_minus_one(node) for node in inferred.nodes]
        return Graph(specs, nodes, graph.outputs, graph.tensors, graph.parameters, batched=False)


def _without_minus_one(node: Node) -> Node:
    sizes = node.args.get("size", node.args.get("shape"))
    if node.op not in RESHAPE | EXPAND or not isinstance(sizes, tuple):
        return node
    key = "size" if "size" in node.args else "shape"
    args: dict[str, Arg] = {**node.args, key: node.spec.shape}
    return Node(node.name, node.op, args, node.spec, node.path)


def _last_uses(graph: Graph) -> list[tuple[str, ...]]:
    """For every node the computed values that nobody reads after it."""
    computed = {node.name for node in graph.nodes}
    seen = set(graph.outputs)
    dying: list[tuple[str, ...]] = []
    for node in reversed(graph.nodes):
        ending = [name for name in dict.fromkeys([*node.refs(), node.name]) if name in computed and name not in seen]
        seen.update(ending)
        dying.append(tuple(ending))
    return dying[::-1]


def examples(graph: Graph, batch: int | None = None) -> tuple[torch.Tensor, ...]:
    """Random inputs: standard normal, or indices that every embedding of the graph has a row for.

    `batch` replaces the batch size a batched graph was captured with.
    """
    generator = torch.Generator().manual_seed(0)
    rows = [graph.specs[next(node.refs())].shape[0] for node in graph.nodes if node.op in EMBEDDING]
    values = []
    for spec in graph.inputs.values():
        shape = spec.shape if batch is None else (batch, *spec.shape[1:])
        dtype = getattr(torch, spec.dtype)
        if dtype.is_floating_point:
            value = torch.randn(shape, generator=generator).to(dtype)
        else:
            value = torch.randint(0, min(rows, default=2), shape, generator=generator).to(dtype)
        values.append(value)
    return tuple(values)
