"""What every operator does to channel identities: one rule an operator, in a table.

A rule takes the tracer and a node whose operands are traced and returns the identities of its result. Shape
operators are in `channel_shape_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from hwaware.graph.arguments import integer, integers, number, optional_ref, ref
from hwaware.graph.attention_rules import attention, fixed, layer_norm, matmul, softmax
from hwaware.graph.channel_shape_rules import SHAPE_RULES, without_dims
from hwaware.graph.identities import Ids
from hwaware.graph.ir import Node
from hwaware.graph.ops import (
    ACTIVATION,
    ATTENTION,
    BATCH_NORM,
    BINARY,
    CONV,
    DROPOUT,
    IDENTITY,
    LINEAR,
    MATMUL,
    POOL,
    POWER,
    REDUCE,
    SCALAR_BINARY,
    SOFTMAX,
    UPSAMPLE,
)
from hwaware.graph.tracer import Tracer, channels_dim

Rule = Callable[[Tracer, Node], Ids]


def _flow(tracer: Tracer, node: Node) -> Ids:
    return tracer.ids(next(node.refs()))


def _needs_nonzero(tracer: Tracer, node: Node) -> Ids:
    source = ref(node, "self")
    if node.op not in POWER or number(node, "exponent") < 0:
        tracer.pin(source, f"{node.op} in {node.path or node.name} has no value at zero")
    return tracer.ids(source)


def _anchor(tracer: Tracer, node: Node, in_dim: int, out_dim: int, channels: int) -> Ids:
    """A weighted sum over the input's dimension `channels`; in and out are dimensions of the weight."""
    source, weight = ref(node, "input"), ref(node, "weight")
    if weight not in tracer.graph.tensors:
        return fixed(tracer, node, "has a weight that the model computes")
    tracer.join(weight, in_dim, tracer.along(source, channels))
    tracer.inputs[node.name] = (weight, in_dim)
    tracer.outputs[node.name] = (weight, out_dim)
    out = tracer.axis(weight, out_dim)
    tracer.carry(node, optional_ref(node, "bias"), out)
    return channels_dim(out, len(node.spec.shape), channels)


def _linear(tracer: Tracer, node: Node) -> Ids:
    return _anchor(tracer, node, 1, 0, len(node.spec.shape) - 1)


def _conv(tracer: Tracer, node: Node) -> Ids:
    transposed = node.op.startswith("conv_transpose")
    groups = integer(node, "groups")
    if groups == 1:
        return _anchor(tracer, node, *((0, 1) if transposed else (1, 0)), 1)
    source, weight = ref(node, "input"), ref(node, "weight")
    if weight not in tracer.graph.tensors:
        return fixed(tracer, node, "has a weight that the model computes")
    inside = tracer.along(source, 1)
    outside = node.spec.shape[1] // groups
    if len(inside) == groups:
        out = np.repeat(inside, outside)
        tracer.carry(node, weight, inside if transposed else out)
    else:
        # The k-th channels of all groups go together: the groups stay equally wide.
        rows = inside.reshape(groups, -1)
        tracer.identities.tie(rows[:1], rows[1:])
        if transposed:
            tracer.join(weight, 0, inside)
            out = np.tile(tracer.axis(weight, 1), groups)
        else:
            tracer.join(weight, 1, rows[0])
            out = tracer.axis(weight, 0)
            columns = out.reshape(groups, -1)
            tracer.identities.tie(columns[:1], columns[1:])
        tracer.inputs[node.name] = (weight, 0 if transposed else 1)
        tracer.outputs[node.name] = (weight, 1 if transposed else 0)
    tracer.carry(node, optional_ref(node, "bias"), out)
    return channels_dim(out, len(node.spec.shape))


def _embedding(tracer: Tracer, node: Node) -> Ids:
    weight = ref(node, "weight")
    if weight not in tracer.graph.tensors:
        return fixed(tracer, node, "has a weight that the model computes")
    tracer.pin(ref(node, "indices"), "used as an index")
    tracer.outputs[node.name] = (weight, 1)
    return channels_dim(tracer.axis(weight, 1), len(node.spec.shape), len(node.spec.shape) - 1)


def _batch_norm(tracer: Tracer, node: Node) -> Ids:
    channels = tracer.along(ref(node, "input"), 1)
    for name in ("weight", "bias", "running_mean", "running_var"):
        tracer.carry(node, optional_ref(node, name), channels)
    return channels_dim(channels, len(node.spec.shape))


def _prelu(tracer: Tracer, node: Node) -> Ids:
    source, weight = ref(node, "self"), ref(node, "weight")
    if tracer.shape(weight) == (1,) and len(tracer.along(source, 1)) > 1:
        return tracer.ids(source)
    tracer.carry(node, weight, tracer.along(source, 1))
    return tracer.ids(source)


def _binary(tracer: Tracer, node: Node) -> Ids:
    rank = len(node.spec.shape)
    names = [name for name in (optional_ref(node, "self"), optional_ref(node, "other")) if name is not None]
    if node.op == "div.Tensor" and (other := optional_ref(node, "other")) is not None:
        tracer.pin(other, f"{node.path or node.name} divides by it")
    if len(names) == 1:
        return tracer.ids(names[0])
    ids = [
        tracer.ids(name).reshape([1] * (rank - len(tracer.shape(name))) + [*tracer.ids(name).shape]) for name in names
    ]
    shapes = [(1,) * (rank - len(tracer.shape(name))) + tracer.shape(name) for name in names]
    # One number for many different channels goes with none of them.
    spread = [
        any(shapes[mine][d] == 1 < shapes[1 - mine][d] and ids[1 - mine].shape[d] > 1 for d in range(rank))
        for mine in (0, 1)
    ]
    for mine in (0, 1):
        if spread[mine]:
            tracer.pin(names[mine], f"broadcast over channels by {node.op} in {node.path or node.name}")
    if all(spread):
        return np.zeros([1] * rank, dtype=np.int64)
    if any(spread):
        return ids[spread.index(False)]
    tracer.identities.tie(*ids)
    return min(ids, key=lambda operand: operand.size)


def _reduce(tracer: Tracer, node: Node) -> Ids:
    source = ref(node, "self")
    ids = tracer.ids(source)
    dims = node.args.get("dim")
    reduced = {dim % ids.ndim for dim in integers(node, "dim")} if dims not in (None, ()) else set(range(ids.ndim))
    if any(ids.shape[dim] > 1 for dim in reduced):
        tracer.pin(source, f"{node.op} in {node.path or node.name} reduces over channels")
        return np.zeros([1] * len(node.spec.shape), dtype=np.int64)
    return ids if len(node.spec.shape) == ids.ndim else without_dims(ids, reduced)


def _spatial(tracer: Tracer, node: Node) -> Ids:
    source = next(node.refs())
    dims = 1 if "1d" in node.op else 2
    ids = tracer.ids(source)
    rows = ids.reshape(*ids.shape[:-dims], -1)
    tracer.identities.tie(rows[..., :1], rows[..., 1:])
    return rows[..., 0].reshape(*ids.shape[:-dims], *[1] * dims)


def _table(pairs: Iterable[tuple[frozenset[str], Rule]]) -> dict[str, Rule]:
    return {op: rule for ops, rule in pairs for op in ops}


RULES: dict[str, Rule] = {
    **_table(
        [
            (ACTIVATION | SCALAR_BINARY | DROPOUT | IDENTITY, _flow),
            (POWER | {"rsqrt.default"}, _needs_nonzero),
            (CONV, _conv),
            (LINEAR, _linear),
            (BATCH_NORM, _batch_norm),
            (MATMUL, matmul),
            (ATTENTION, attention),
            (BINARY, _binary),
            (REDUCE, _reduce),
            (SOFTMAX, softmax),
            (POOL | UPSAMPLE, _spatial),
        ]
    ),
    "embedding.default": _embedding,
    "layer_norm.default": layer_norm,
    "prelu.default": _prelu,
    **SHAPE_RULES,
}
