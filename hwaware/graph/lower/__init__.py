"""From the captured graph to fused operations: one rule a kind of operator, dispatched by a table."""

from __future__ import annotations

from collections.abc import Callable

from hwaware.errors import UnsupportedOpError
from hwaware.graph import ops
from hwaware.graph.ir import Graph, Node, Ref, Spec
from hwaware.graph.lower import anchors, elementwise, levels, shapes, windows
from hwaware.graph.lower.builder import Builder, Value, dense_view
from hwaware.graph.lower.checks import check_input, check_types
from hwaware.graph.lower.constants import evaluated
from hwaware.graph.lower.in_place import without_copies
from hwaware.graph.lower.program import FusedOp, Program

__all__ = ["FusedOp", "Program", "lower"]

Rule = Callable[[Builder, Node], Value]

_GROUPS: tuple[tuple[frozenset[str], Rule], ...] = (
    (ops.CONV, anchors.conv),
    (ops.LINEAR, anchors.linear),
    (ops.MATMUL, anchors.matmul),
    (ops.ATTENTION, anchors.attention),
    (ops.BATCH_NORM, anchors.batch_norm),
    (ops.LAYER_NORM, anchors.layer_norm),
    (ops.EMBEDDING, anchors.embedding),
    (ops.SOFTMAX, anchors.softmax),
    (frozenset(op for op in ops.POOL if op.startswith("adaptive")), windows.adaptive_pool),
    (frozenset(op for op in ops.POOL if not op.startswith("adaptive")), windows.pool),
    (ops.REDUCE, windows.reduce),
    (ops.UPSAMPLE, windows.upsample),
    (frozenset({"prelu.default"}), elementwise.prelu),
    (frozenset({"elu.default"}), elementwise.elu),
    (frozenset(elementwise.UNARY), elementwise.unary),
    (ops.BINARY | ops.SCALAR_BINARY, elementwise.binary),
    (ops.RESHAPE | ops.PERMUTE | ops.EXPAND | ops.SLICE, shapes.view),
    (ops.CAT, shapes.cat),
    (ops.SHUFFLE, shapes.shuffle),
    (ops.PAD, shapes.pad),
    (ops.QUANTIZE, levels.quantize),
    (ops.DEQUANTIZE, levels.dequantize),
    (ops.INTEGER_CONV, levels.conv),
    (ops.INTEGER_LINEAR, levels.linear),
)
RULES: dict[str, Rule] = {op: rule for group, rule in _GROUPS for op in group}


def lower(graph: Graph) -> Program:
    """Fused operations of `graph` with BatchNorm folded, channels-last memory inside, PyTorch's order outside.

    Raises `UnsupportedOpError`, naming the operator and its module path, for arguments no rule covers.
    """
    graph = _without_identities(graph)
    graph = evaluated(graph)
    builder = Builder(graph)
    builder.uses = {name: len(users) for name, users in graph.users().items()}
    for name in graph.outputs:
        builder.uses[name] = builder.uses.get(name, 0) + 1
    inputs = []
    for name, spec in graph.inputs.items():
        builder.buffers[name] = spec
        builder.pinned.add(name)
        check_input(name, spec)
        builder.values[name] = Value(name, dense_view(spec.shape, range(len(spec.shape)), spec.dtype))
        inputs.append((name, name, spec))
    for node in graph.nodes:
        if node.op in ops.DECODE:
            builder.decoded[node.name] = node
            continue
        rule = RULES.get(node.op)
        if rule is None:
            raise UnsupportedOpError(f"operator aten.{node.op} in module '{node.path or '(top)'}' has no lowering")
        if node.op not in ops.BINARY:
            for name in [name for name in node.refs() if name in builder.values]:
                levels.as_numbers(builder, node, name)
        check_types(builder, node)
        builder.values[node.name] = rule(builder, node)
    outputs = []
    for index, name in enumerate(graph.outputs):
        outputs.append(_output(builder, graph, name, index))
    program = Program(inputs, outputs, builder.ops, builder.buffers)
    without_copies(program)
    return program


def _output(builder: Builder, graph: Graph, name: str, index: int) -> tuple[str, str, Spec]:
    if name not in builder.values:
        raise UnsupportedOpError(f"output {index} of the model is a constant")
    value = builder.values[name]
    spec = Spec(value.sizes, graph.specs[name].dtype)
    node = Node(f"output_{index}", "clone.default", {}, spec, "")
    levels.as_numbers(builder, node, name)
    value = builder.values[name]
    whole = value.buffer not in graph.inputs and value.view.numel() == _elements(builder.buffers[value.buffer])
    if whole:
        value = builder.materialise(value, range(len(value.sizes)), node, "")
    else:
        from hwaware.graph.lower.copy import emit_copy

        value = emit_copy(builder, value, range(len(value.sizes)), node, "")
    return name, value.buffer, spec


def _elements(spec: Spec) -> int:
    total = 1
    for size in spec.shape:
        total *= size
    return total


def _without_identities(graph: Graph) -> Graph:
    """`graph` with copies, dropout and their like replaced by what they pass on."""
    alias: dict[str, str] = {}

    def rename(arg: object) -> object:
        if isinstance(arg, Ref):
            return Ref(alias.get(arg.name, arg.name))
        if isinstance(arg, tuple):
            return tuple(rename(item) for item in arg)
        return arg

    nodes = []
    for node in graph.nodes:
        args = {key: rename(arg) for key, arg in node.args.items()}
        if node.op in ops.IDENTITY | ops.DROPOUT:
            source = next(iter(args.values()))
            assert isinstance(source, Ref)
            alias[node.name] = source.name
        else:
            nodes.append(Node(node.name, node.op, args, node.spec, node.path))  # type: ignore[arg-type]
    outputs = tuple(alias.get(name, name) for name in graph.outputs)
    return Graph(graph.inputs, nodes, outputs, graph.tensors, graph.parameters, graph.batched)
