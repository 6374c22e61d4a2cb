"""Turn nodes into callables: operators resolved once, tensors looked up by name at every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.nn import functional

from hwaware.graph.arguments import integers, number, optional_ref, ref
from hwaware.graph.constants import argument_value
from hwaware.graph.functions import function_of
from hwaware.graph.ir import Arg, Graph, Node, Ref, Spec
from hwaware.graph.ops import BATCH_NORM, DROPOUT, EXPAND, POOL


@dataclass(frozen=True)
class Mode:
    """How a graph runs: `batch` is the size of dimension 0 of its first input."""

    training: bool
    batch: int


Values: TypeAlias = Mapping[str, torch.Tensor]
Step: TypeAlias = Callable[[Values, Mode], torch.Tensor]

# Export proves that these views are possible for the strides it saw; a channels-last input has others.
_RESHAPED = {"view.default": "reshape.default", "_unsafe_view.default": "reshape.default"}


def captured_batch(graph: Graph) -> int:
    """Size of dimension 0 of the first input when `graph` was captured; 1 for a graph of scalars."""
    shape = next((spec.shape for spec in graph.inputs.values()), ())
    return shape[0] if shape else 1


def step(graph: Graph, node: Node) -> Step:
    """A callable that runs `node`; batch norm and dropout follow `Mode.training`, `expand` the batch."""
    if node.op in BATCH_NORM:
        return _batch_norm(node)
    if node.op in DROPOUT:
        return _dropout(node)
    if node.op in EXPAND and graph.batched:
        return _expand(graph, node)
    if node.op in POOL and node.spec.dtype == "uint8":
        return _pool_levels(node)
    return _generic(node)


def infer(graph: Graph, inputs: Mapping[str, Spec]) -> Graph:
    """`graph` with every spec derived again, on meta tensors, from the specs of its inputs and its tensors.

    Arguments are left as they are. Raises whatever ATen raises for shapes that do not fit together.
    """
    values = {name: _meta(spec) for name, spec in inputs.items()}
    first = next(iter(inputs.values()), Spec((1,), "float32"))
    mode = Mode(training=False, batch=first.shape[0] if first.shape else 1)
    values |= {name: tensor.to("meta") for name, tensor in graph.tensors.items()}
    nodes = []
    for node in graph.nodes:
        values[node.name] = step(graph, node)(values, mode)
        nodes.append(Node(node.name, node.op, node.args, Spec.of(values[node.name]), node.path))
    return Graph(dict(inputs), nodes, graph.outputs, graph.tensors, graph.parameters, graph.batched)


def _meta(spec: Spec) -> torch.Tensor:
    return torch.empty(spec.shape, dtype=getattr(torch, spec.dtype), device="meta")


def _batch_norm(node: Node) -> Step:
    source = ref(node, "input")
    others = [optional_ref(node, name) for name in ("running_mean", "running_var", "weight", "bias")]
    momentum, eps = number(node, "momentum"), number(node, "eps")

    def run(values: Values, mode: Mode) -> torch.Tensor:
        mean, var, weight, bias = (None if name is None else values[name] for name in others)
        return functional.batch_norm(values[source], mean, var, weight, bias, mode.training, momentum, eps)

    return run


def _dropout(node: Node) -> Step:
    source, rate = ref(node, "input"), number(node, "p")
    return lambda values, mode: functional.dropout(values[source], rate, mode.training)


def _expand(graph: Graph, node: Node) -> Step:
    """In a batched graph ``-1`` of an expanded dimension means the batch, not ATen's "leave it as it is"."""
    source, sizes = ref(node, "self"), integers(node, "size")
    shape = graph.specs[source].shape
    shape = (0,) * (len(sizes) - len(shape)) + shape
    captured = captured_batch(graph)
    template = [
        (node.spec.shape[i], True) if size == -1 and shape[i] != node.spec.shape[i] else (size, False)
        for i, size in enumerate(sizes)
    ]

    def run(values: Values, mode: Mode) -> torch.Tensor:
        return values[source].expand([size * mode.batch // captured if follows else size for size, follows in template])

    return run


def _pool_levels(node: Node) -> Step:
    """Maximum pooling of levels, which ATen has in floating point only."""
    pool, source = _generic(node), next(node.refs())
    return lambda values, mode: pool({source: values[source].float()}, mode).to(torch.uint8)


def _generic(node: Node) -> Step:
    function = function_of(_RESHAPED.get(node.op, node.op))
    renamed = {"size": "shape"} if node.op in _RESHAPED else {}
    kinds = {argument.name: argument for argument in function._schema.arguments}
    positional: list[Any] = []
    keywords: dict[str, Any] = {}
    slots: list[tuple[int | str, Arg]] = []
    for name, arg in node.args.items():
        argument = kinds[renamed.get(name, name)]
        key: int | str = argument.name if argument.kwarg_only else len(positional)
        if isinstance(arg, Ref) or (isinstance(arg, tuple) and any(isinstance(item, Ref) for item in arg)):
            slots.append((key, arg))
            value: Any = None
        else:
            value = argument_value(arg, {}, str(argument.type))
        if isinstance(key, str):
            keywords[key] = value
        else:
            positional.append(value)

    def run(values: Values, mode: Mode) -> torch.Tensor:
        ordered, named = list(positional), dict(keywords)
        for key, arg in slots:
            value = _look_up(arg, values)
            if isinstance(key, str):
                named[key] = value
            else:
                ordered[key] = value
        result: torch.Tensor = function(*ordered, **named)
        return result

    return run


def _look_up(arg: Arg, values: Values) -> Any:
    if isinstance(arg, Ref):
        return values[arg.name]
    if isinstance(arg, tuple):
        return [_look_up(item, values) for item in arg]
    return arg
