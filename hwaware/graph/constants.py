"""Evaluate what depends on no input: position indices, masks, reshaped weights."""

from __future__ import annotations

import torch

from hwaware.errors import UnsupportedOpError
from hwaware.graph.functions import function_of
from hwaware.graph.ir import Arg, Graph, Node, Ref
from hwaware.graph.ops import KNOWN


def fold_constants(graph: Graph) -> Graph:
    """`graph` without nodes whose operands are all buffers or constants; parameters stay, they are trained.

    Raises `UnsupportedOpError` for a node that is left over and that hwaware has no lowering for: operators that
    fold away (``arange``, ``full``, comparisons of constants) need none.
    """
    tensors = dict(graph.tensors)
    known: set[str] = set(tensors) - graph.parameters
    nodes: list[Node] = []
    for node in graph.nodes:
        if all(name in known for name in node.refs()):
            tensors[node.name] = call(node, {name: tensors[name] for name in node.refs()})
            known.add(node.name)
        elif node.op not in KNOWN:
            raise unsupported(node.op, node.path)
        else:
            nodes.append(node)
    used = {name for node in nodes for name in node.refs()} | set(graph.outputs)
    kept = {name: tensor for name, tensor in tensors.items() if name in used}
    return Graph(graph.inputs, nodes, graph.outputs, kept, graph.parameters & kept.keys(), graph.batched)


def unsupported(op: str, path: str) -> UnsupportedOpError:
    """The error for operator `op` met in the module at dotted `path`."""
    return UnsupportedOpError(
        f"operator aten.{op} in module '{path or '(top)'}' has no lowering: replace it by one of the supported "
        "operators (hwaware/graph/ops.py lists them)"
    )


def call(node: Node, values: dict[str, torch.Tensor]) -> torch.Tensor:
    """Run one node on real tensors; the overload is looked up by name among ATen's, nothing is evaluated."""
    function = function_of(node.op)
    kinds = {argument.name: argument for argument in function._schema.arguments}
    positional, keywords = [], {}
    for name, arg in node.args.items():
        value = argument_value(arg, values, str(kinds[name].type))
        if kinds[name].kwarg_only:
            keywords[name] = value
        else:
            positional.append(value)
    result = function(*positional, **keywords)
    return result[0] if isinstance(result, tuple) else result


_ENUMS = {
    str(value): value
    for value in (
        *(torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.bool),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8),
        *(torch.contiguous_format, torch.preserve_format, torch.channels_last, torch.strided),
    )
}


def argument_value(arg: Arg, values: dict[str, torch.Tensor], kind: str) -> object:
    """What ATen is given for `arg` where its schema has the type `kind`; refs are looked up in `values`."""
    if isinstance(arg, Ref):
        return values[arg.name]
    if isinstance(arg, tuple):
        return [argument_value(item, values, kind) for item in arg]
    if isinstance(arg, str) and "Device" in kind:
        return torch.device("cpu")
    if isinstance(arg, str) and arg in _ENUMS:
        return _ENUMS[arg]
    return arg
