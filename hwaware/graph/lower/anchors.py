"""Convolutions, dense layers, matrix products and attention."""

from __future__ import annotations

import math

import numpy as np

from hwaware.graph.ir import Node, Ref, Spec
from hwaware.graph.lower.builder import Builder, Value, channels_last, is_dense, memory_order
from hwaware.graph.lower.elementwise import with_constant
from hwaware.graph.lower.program import FusedOp
from hwaware.graph.lower.stored import StoredWeight, stored_weight
from hwaware.graph.workload import CHANNEL, STORED, Step


def _pair(values: object, rank: int, neutral: int) -> tuple[int, int]:
    """(height, width) of a per-dimension argument; one-dimensional operators run with height 1."""
    items = values if isinstance(values, tuple) else (values,)
    numbers = [int(item) for item in items]
    if rank == 3:
        return neutral, numbers[0]
    return (numbers[0], numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])


def image(builder: Builder, node: Node, value: Value) -> tuple[str, Spec, Value]:
    """Buffer, (N, H, W, C) spec and value of an input in channels-last order."""
    rank = len(value.sizes)
    if rank != (3 if "1d" in node.op else 4):
        raise builder.refuse(node, f"an input of rank {rank} is not supported, it needs a batch dimension")
    buffer, spec, dense = builder.dense_input(value, channels_last(rank), node)
    if rank == 3:
        n, width, c = spec.shape
        spec = Spec((n, 1, width, c), spec.dtype)
    return buffer, spec, dense


def conv(builder: Builder, node: Node) -> Value:
    """Convolution and transposed convolution, one- and two-dimensional."""
    args = node.args
    rank = len(node.spec.shape)
    if isinstance(args["padding"], str):
        raise builder.refuse(node, f"padding='{args['padding']}' is not supported, give numbers")
    transposed = node.op.startswith("conv_transpose")
    stored = stored_weight(builder, node, decoding=not transposed)
    weight = stored.constants["weight"]
    if rank == 3:
        weight = weight[:, :, None, :]
        stored.constants["weight"] = weight
    buffer, spec, _ = image(builder, node, builder.value(args["input"], node))
    attrs = {**conv_attrs(node, weight), **stored.attrs}
    kind = "conv2d_transpose" if transposed else "conv2d"
    order = channels_last(rank)
    value = builder.emit(node, kind, [(buffer, spec)], node.spec.shape, order, attrs, stored.constants)
    op = builder.producer[value.buffer]
    if rank == 3:
        n, width, c = op.output_spec.shape
        op.output_spec = Spec((n, 1, width, c), op.output_spec.dtype)
    stored.add_scale(builder, op)
    return _bias(builder, node, op, value)


def conv_attrs(node: Node, weight: np.ndarray) -> dict[str, object]:
    """The attributes of a convolution with a four-dimensional `weight`."""
    args, rank = node.args, len(node.spec.shape)
    return {
        "kernel": (int(weight.shape[2]), int(weight.shape[3])),
        "stride": _pair(args["stride"], rank, 1),
        "padding": _pair(args["padding"], rank, 0),
        "dilation": _pair(args["dilation"], rank, 1),
        "groups": args["groups"],
    }


def _bias(builder: Builder, node: Node, op: FusedOp, value: Value) -> Value:
    bias = node.args["bias"]
    if bias is not None:
        builder.add_step(op, Step("add", (), CHANNEL, constant=True), builder.constant(bias))
    return value


def batch_norm(builder: Builder, node: Node) -> Value:
    """Folded into the weights of the convolution or dense layer before it; else one scale and shift a channel."""
    args = node.args
    mean, var = builder.constant(args["running_mean"]), builder.constant(args["running_var"])
    eps = args["eps"]
    assert isinstance(eps, float)
    # In float64: folding must not cost accuracy.
    scale = 1.0 / np.sqrt(var.astype(np.float64) + eps)
    if args["weight"] is not None:
        scale = scale * builder.constant(args["weight"])
    shift = -mean * scale
    if args["bias"] is not None:
        shift = shift + builder.constant(args["bias"])
    name = next(node.refs())
    op = builder.open_op(name)
    if op is not None and _foldable(op, builder.values[name]):
        _fold(builder, op, scale, shift)
        return builder.values[name]
    shape = [1, -1] + [1] * (len(node.spec.shape) - 2)
    scaled = with_constant(builder, node, name, "mul", scale.astype(np.float32).reshape(shape))
    return _shift_last(builder, scaled, shift.astype(np.float32))


def _shift_last(builder: Builder, value: Value, shift: np.ndarray) -> Value:
    op = builder.producer[value.buffer]
    step = op.steps[-1]
    if step.name == "affine":  # a single channel: with_constant wrote a plain number
        op.steps[-1] = Step("affine", (step.params[0], float(shift[0])))
    elif step.operand == CHANNEL:
        builder.add_step(op, Step("add", (), CHANNEL, constant=True), shift)
    else:
        sizes = value.sizes
        full = np.broadcast_to(shift.reshape([1, -1] + [1] * (len(sizes) - 2)), sizes)
        order = sorted(range(len(sizes)), key=lambda d: -value.strides[d])
        builder.add_step(op, Step("add", (), "full", constant=True), full.transpose(order).reshape(-1))
    return value


def _foldable(op: FusedOp, value: Value) -> bool:
    order = memory_order(value.view)
    if order is None or order[-1] != 1 or value.sizes[1] != op.output_spec.shape[-1]:
        return False  # a reshape or permute lies between: the normalised dimension is not the operation's channels
    bias_only = all(step.name == "add" and step.constant and step.operand == CHANNEL for step in op.steps)
    plain = STORED not in op.attrs  # others are packed as they were stored
    return op.kind in ("conv2d", "conv2d_transpose", "dense") and bias_only and plain


def _fold(builder: Builder, op: FusedOp, scale: np.ndarray, shift: np.ndarray) -> None:
    weight = op.constants["weight"].astype(np.float64)
    if op.kind == "conv2d_transpose":
        groups = op.attrs["groups"]
        assert isinstance(groups, int)
        per_group = scale.reshape(groups, 1, -1).repeat(weight.shape[0] // groups, axis=1)
        factor = per_group.reshape(weight.shape[0], -1, 1, 1)
    else:
        factor = scale.reshape(-1, *[1] * (weight.ndim - 1))
    op.constants["weight"] = (weight * factor).astype(np.float32)
    total = shift
    for index in range(len(op.steps)):
        total = total + op.constants.pop(f"step{index}") * scale
    op.steps.clear()
    builder.add_step(op, Step("add", (), CHANNEL, constant=True), total.astype(np.float32))


def linear(builder: Builder, node: Node) -> Value:
    """A dense layer over the last dimension; the rows may lie in any order."""
    return _dense(builder, node, builder.value(node.args["input"], node), stored_weight(builder, node))


def _dense(builder: Builder, node: Node, value: Value, stored: StoredWeight) -> Value:
    weight = stored.constants["weight"]
    rank = len(value.sizes)
    rows = sorted(range(rank - 1), key=lambda d: (-value.strides[d] if value.sizes[d] > 1 else 0, d))
    order = (*rows, rank - 1)
    if not is_dense(value.view, order):
        order = tuple(range(rank))
    buffer, spec, dense = builder.dense_input(value, order, node)
    features = spec.shape[-1]
    matrix = Spec((math.prod(spec.shape[:-1]), features), spec.dtype)
    sizes = (*dense.sizes[:-1], weight.shape[0])
    result = builder.emit(node, "dense", [(buffer, matrix)], sizes, order, {**stored.attrs}, stored.constants)
    op = builder.producer[result.buffer]
    op.output_spec = Spec((matrix.shape[0], weight.shape[0]), spec.dtype)
    stored.add_scale(builder, op)
    return _bias(builder, node, op, result) if "bias" in node.args else result


def matmul(builder: Builder, node: Node) -> Value:
    """A product of two computed matrices (batched), or a dense layer where the second is a constant."""
    first, second = node.args["self"], node.args["other" if node.op.startswith("matmul") else "mat2"]
    if builder.is_constant(second) and isinstance(second, Ref):
        weight = builder.constant(second)
        if weight.ndim == 2:
            return _dense(
                builder, node, builder.value(first, node), StoredWeight({"weight": np.ascontiguousarray(weight.T)})
            )
    a, b = builder.value(first, node), builder.value(second, node)
    if min(len(a.sizes), len(b.sizes)) < 2:
        raise builder.refuse(node, f"shapes {a.sizes} and {b.sizes}: vectors are not supported, add a dimension")
    batch = node.spec.shape[:-2]
    a, b = (Value(item.buffer, item.view.expand(*batch, *item.sizes[-2:])) for item in (a, b))
    return product(builder, node, a, b, node.spec.shape, "")


def product(builder: Builder, node: Node, a: Value, b: Value, sizes: tuple[int, ...], suffix: str) -> Value:
    """Batched a·b; a second operand that lies transposed in memory is read as it is."""
    rank = len(sizes)
    plain = tuple(range(rank))
    swapped = (*range(rank - 2), rank - 1, rank - 2)
    transposed = not is_dense(b.view, plain) and is_dense(b.view, swapped)
    buffer_a, _, _ = builder.dense_input(a, plain, node, suffix + "_a")
    buffer_b, _, _ = builder.dense_input(b, swapped if transposed else plain, node, suffix + "_b")
    batch = math.prod(sizes[:-2])
    m, k, n = a.sizes[-2], a.sizes[-1], b.sizes[-1]
    spec_b = Spec((batch, n, k) if transposed else (batch, k, n), "float32")
    inputs = [(buffer_a, Spec((batch, m, k), "float32")), (buffer_b, spec_b)]
    attrs: dict[str, object] = {"transposed": transposed}
    value = builder.emit(node, "matmul", inputs, sizes, plain, attrs, suffix=suffix)
    builder.producer[value.buffer].output_spec = Spec((batch, m, n), "float32")
    return value


def attention(builder: Builder, node: Node) -> Value:
    """softmax(q·kᵀ·scale + mask)·v from its parts."""
    args = node.args
    q, k, v = (builder.value(args[name], node) for name in ("query", "key", "value"))
    if args.get("dropout_p") or not q.sizes[:-2] == k.sizes[:-2] == v.sizes[:-2]:
        raise builder.refuse(node, "dropout, grouped queries and broadcast keys are not supported")
    scale = args.get("scale")
    factor = float(scale) if isinstance(scale, (int, float)) else 1.0 / math.sqrt(q.sizes[-1])
    # Transposed keys are usually how they lie already; make them so where not.
    keys = builder.materialise(k, range(len(k.sizes)), node, "_keys")
    sizes = (*q.sizes[:-1], k.sizes[-2])
    scores = product(builder, node, q, Value(keys.buffer, keys.view.transpose(-1, -2)), sizes, "_scores")
    op = builder.producer[scores.buffer]
    builder.add_step(op, Step("affine", (factor, 0.0)), None)
    mask = _mask_values(builder, node, sizes)
    if mask is not None:
        scores = _mask(builder, node, scores, mask)
    weights = softmax_of(builder, node, scores, len(sizes) - 1, "_softmax")
    return product(builder, node, weights, v, node.spec.shape, "")


def _mask_values(builder: Builder, node: Node, sizes: tuple[int, ...]) -> np.ndarray | None:
    if node.args.get("is_causal"):
        return np.tril(np.ones(sizes[-2:], np.bool_))
    mask = node.args.get("attn_mask")
    if mask is None:
        return None
    if not builder.is_constant(mask):
        raise builder.refuse(node, "a mask that is computed from the input is not supported")
    return builder.constant(mask)


def _mask(builder: Builder, node: Node, scores: Value, values: np.ndarray) -> Value:
    if values.dtype == np.bool_:
        # Large and finite: exp of the difference is zero, and -inf - -inf never happens.
        values = np.where(values, 0.0, -1e30)
    named = Node(node.name + "_masked", node.op, node.args, Spec(scores.sizes, "float32"), node.path)
    builder.values[node.name + "_scores"] = scores
    builder.uses[node.name + "_scores"] = 1
    clipped = np.maximum(values.astype(np.float32), -1e30)
    return with_constant(builder, named, node.name + "_scores", "add", clipped)


def softmax(builder: Builder, node: Node) -> Value:
    """Softmax and log-softmax along one dimension."""
    dim = node.args["dim"]
    assert isinstance(dim, int)
    value = builder.value(node.args["self"], node)
    return softmax_of(builder, node, value, dim % len(value.sizes), "", log=node.op.startswith("log"))


def softmax_of(builder: Builder, node: Node, value: Value, dim: int, suffix: str, *, log: bool = False) -> Value:
    """Softmax with `dim` innermost in memory: other dimensions keep their order."""
    rank = len(value.sizes)
    order = (*(d for d in range(rank) if d != dim), dim)
    buffer, spec, dense = builder.dense_input(value, order, node, suffix + "_in")
    rows = Spec((math.prod(spec.shape[:-1]), spec.shape[-1]), spec.dtype)
    result = builder.emit(node, "softmax", [(buffer, rows)], dense.sizes, order, {"log": log}, suffix=suffix)
    builder.producer[result.buffer].output_spec = rows
    return result


def layer_norm(builder: Builder, node: Node) -> Value:
    """Normalisation over the last dimensions, with optional scale and shift."""
    args = node.args
    shape = args["normalized_shape"]
    assert isinstance(shape, tuple)
    value = builder.value(args["input"], node)
    rank = len(value.sizes)
    lead = sorted(range(rank - len(shape)), key=lambda d: (-value.strides[d] if value.sizes[d] > 1 else 0, d))
    order = (*lead, *range(rank - len(shape), rank))
    if not is_dense(value.view, order):
        order = tuple(range(rank))
    buffer, spec, dense = builder.dense_input(value, order, node)
    width = math.prod(value.sizes[rank - len(shape) :])
    rows = Spec((math.prod(spec.shape) // width, width), spec.dtype)
    eps = args["eps"]
    attrs: dict[str, object] = {"eps": eps}
    constants = {
        "scale": _vector(builder, args["weight"], width, 1.0),
        "shift": _vector(builder, args["bias"], width, 0.0),
    }
    result = builder.emit(node, "layer_norm", [(buffer, rows)], dense.sizes, order, attrs, constants)
    builder.producer[result.buffer].output_spec = rows
    return result


def _vector(builder: Builder, arg: object, width: int, default: float) -> np.ndarray:
    if isinstance(arg, Ref):
        return builder.constant(arg).reshape(-1)
    return np.full(width, default, np.float32)


def embedding(builder: Builder, node: Node) -> Value:
    """Rows of a table, picked by an integer input."""
    table = builder.constant(node.args["weight"])
    value = builder.value(node.args["indices"], node)
    plain = tuple(range(len(value.sizes)))
    buffer, spec, dense = builder.dense_input(value, plain, node)
    count = Spec((math.prod(spec.shape),), spec.dtype)
    sizes = (*dense.sizes, table.shape[1])
    order = tuple(range(len(sizes)))
    attrs: dict[str, object] = {"rows": int(table.shape[0])}
    result = builder.emit(node, "embedding", [(buffer, count)], sizes, order, attrs, {"table": table})
    builder.producer[result.buffer].output_spec = Spec((count.shape[0], table.shape[1]), "float32")
    return result
