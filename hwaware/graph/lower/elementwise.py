"""Activations and arithmetic: a step of the operation before, or a ``map`` operation of their own."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from hwaware.graph.ir import Arg, Node, Ref
from hwaware.graph.lower.builder import Builder, Value, channels_last, dense_view, flat, memory_order
from hwaware.graph.lower.program import FusedOp
from hwaware.graph.workload import CHANNEL, FULL, OF_LEVELS, PAIR, Step


def _number(arg: Arg, default: float) -> float:
    return default if arg is None else float(arg)  # type: ignore[arg-type]


def _clip(node: Node) -> Step:
    low = _number(node.args.get("min_val", node.args.get("min")), -math.inf)
    high = _number(node.args.get("max_val", node.args.get("max")), math.inf)
    return Step("relu") if (low, high) == (0.0, math.inf) else Step("clip", (low, high))


def _power(node: Node) -> Step | None:
    names = {2.0: "square", 0.5: "sqrt", -0.5: "rsqrt", 3.0: "cube", -1.0: "reciprocal"}
    name = names.get(_number(node.args["exponent"], 0.0))
    return Step(name) if name else None


UNARY: dict[str, Callable[[Node], Step | None]] = {
    "relu.default": lambda node: Step("relu"),
    "relu6.default": lambda node: Step("clip", (0.0, 6.0)),
    "hardtanh.default": _clip,
    "clamp.default": _clip,
    "clamp_min.default": _clip,
    "silu.default": lambda node: Step("silu"),
    "hardswish.default": lambda node: Step("hardswish"),
    "hardsigmoid.default": lambda node: Step("hardsigmoid"),
    "leaky_relu.default": lambda node: Step("leaky_relu", (_number(node.args["negative_slope"], 0.01),)),
    "gelu.default": lambda node: Step("gelu", (str(node.args["approximate"]),)),
    "sigmoid.default": lambda node: Step("sigmoid"),
    "tanh.default": lambda node: Step("tanh"),
    "exp.default": lambda node: Step("exp"),
    "sqrt.default": lambda node: Step("sqrt"),
    "rsqrt.default": lambda node: Step("rsqrt"),
    "neg.default": lambda node: Step("affine", (-1.0, 0.0)),
    "abs.default": lambda node: Step("abs"),
    "reciprocal.default": lambda node: Step("reciprocal"),
    "pow.Tensor_Scalar": _power,
}

BINARY = {
    "add.Tensor": "add",
    "sub.Tensor": "sub",
    "mul.Tensor": "mul",
    "div.Tensor": "div",
    "maximum.default": "max",
    "minimum.default": "min",
}
# a - b with a as the operand is b reversed: `rsub` computes operand - value.
_SWAPPED = {"add": "add", "mul": "mul", "max": "max", "min": "min", "sub": "rsub", "div": "rdiv"}


def unary(builder: Builder, node: Node) -> Value:
    """An activation without operands."""
    step = UNARY[node.op](node)
    if step is None:
        raise builder.refuse(node, f"exponent {node.args['exponent']} is not supported")
    return apply(builder, node, next(node.refs()), step)


def elu(builder: Builder, node: Node) -> Value:
    """ELU, and SELU, which is one with a factor behind it."""
    alpha, scale, input_scale = (_number(node.args[name], 1.0) for name in ("alpha", "scale", "input_scale"))
    if input_scale != 1.0:
        raise builder.refuse(node, f"input_scale={input_scale} is not supported")
    value = apply(builder, node, next(node.refs()), Step("elu", (alpha,)))
    if scale != 1.0:
        builder.add_step(builder.producer[value.buffer], Step("affine", (scale, 0.0)), None)
    return value


def prelu(builder: Builder, node: Node) -> Value:
    """PReLU; one slope for all is repeated, because a trained number has no place in a workload's key."""
    slope = builder.constant(node.args["weight"])
    rank = len(node.spec.shape)
    if slope.size == 1 and rank > 1:
        slope = np.repeat(slope, node.spec.shape[1])
    shape = [1, -1] + [1] * (rank - 2) if rank > 1 else [-1]
    return with_constant(builder, node, next(node.refs()), "prelu", slope.reshape(shape))


def scalar(builder: Builder, node: Node, left: str, number: float, op: str) -> Value:
    """Arithmetic of a value with a plain number."""
    forms = {
        "add": (1.0, number),
        "sub": (1.0, -number),
        "mul": (number, 0.0),
        "div": (1.0 / number if number else math.inf, 0.0),
        "rsub": (-1.0, number),
    }
    if op in forms:
        return apply(builder, node, left, Step("affine", forms[op]))
    if op == "rdiv":
        value = apply(builder, node, left, Step("reciprocal"))
        builder.add_step(builder.producer[value.buffer], Step("affine", (number, 0.0)), None)
        return value
    return apply(builder, node, left, Step("clip", (number, math.inf) if op == "max" else (-math.inf, number)))


def binary(builder: Builder, node: Node) -> Value:
    """Arithmetic of two operands: values, constants of the model or numbers."""
    op = BINARY.get(node.op) or node.op.split(".")[0]
    left, right = node.args["self"], node.args["other"]
    alpha = _number(node.args.get("alpha"), 1.0)
    if not isinstance(left, Ref) or builder.is_constant(left):
        left, right, op = right, left, _SWAPPED.get(op, op)
        if alpha != 1.0:
            raise builder.refuse(node, "alpha with a constant first operand is not supported")
    assert isinstance(left, Ref)
    if op == "rsub" and alpha != 1.0 and isinstance(node.args["self"], Ref):
        raise builder.refuse(node, f"alpha={alpha} is not supported")
    if not isinstance(right, Ref):
        return scalar(builder, node, left.name, alpha * _number(right, 0.0), op)
    if builder.is_constant(right):
        return with_constant(builder, node, left.name, op, alpha * builder.constant(right))
    if alpha != 1.0:
        raise builder.refuse(node, f"alpha={alpha} is not supported")
    return _two_values(builder, node, op, left.name, right.name)


def _two_values(builder: Builder, node: Node, op: str, left: str, right: str) -> Value:
    shape = node.spec.shape
    first = _of_levels(builder, node, op, left, right)
    if first is not None:
        return first
    pairs = [(left, right, op), (right, left, _SWAPPED[op])] if left != right else [(left, right, op)]
    # Join the producer that comes last: what the other operand needs is then ready.
    for base, other, name in sorted(pairs, key=lambda pair: -_position(builder, pair[0])):
        joined = _join(builder, node, name, base, builder.values[other])
        if joined is not None:
            return joined
    base, other, name = pairs[0] if builder.values[left].sizes == shape else pairs[-1]
    target, value = new_map(builder, node, builder.values[base])
    operand = builder.values[other]
    order = _order(value.view)
    view = operand.view.expand(shape)
    mode = _operand_mode(view, order, shape, target)
    if mode is not None:
        step = Step(name, (), mode)
    else:
        step = Step(name, (int(view.storage_offset()),), tuple(view.stride(d) for d in order))
    builder.add_step(target, step, operand.buffer)
    return value


def _of_levels(builder: Builder, node: Node, op: str, left: str, right: str) -> Value | None:
    """The operation with an operand that is read as levels; None, all values being numbers then, where it cannot be."""
    from hwaware.graph.lower.levels import as_numbers

    if builder.values[left].levels is not None and builder.values[right].levels is not None:
        as_numbers(builder, node, left)
    for base, other, name in ((left, right, op), (right, left, _SWAPPED[op])):
        if builder.values[other].levels is not None and builder.values[base].levels is None:
            joined = _join(builder, node, name, base, builder.values[other])
            if joined is not None:
                return joined
    for name in (left, right):
        as_numbers(builder, node, name)
    return None


def _join(builder: Builder, node: Node, op: str, base: str, operand: Value) -> Value | None:
    """The operation as a step of what made `base`, or None where it cannot be one."""
    anchor = builder.open_op(base)
    value = builder.values[base]
    shape = node.spec.shape
    if anchor is None or value.sizes != shape or operand.buffer == value.buffer or not _whole(builder, value):
        return None
    order = _order(value.view)
    mode = _operand_mode(operand.view.expand(shape), order, shape, anchor)
    if operand.levels is not None:
        if mode != FULL:
            return None
        builder.add_step(anchor, Step(OF_LEVELS, (), PAIR, constant=True), np.array(operand.levels, np.float32))
    if mode is None and operand.sizes == shape:
        operand = builder.materialise(operand, order, node, "_operand")
        mode = FULL
    if mode is None:
        return None
    builder.add_step(anchor, Step(op, (), mode), operand.buffer)
    return value


def _position(builder: Builder, name: str) -> int:
    op = builder.producer.get(builder.values[name].buffer)
    return builder.ops.index(op) if op is not None else -1


def _order(view: torch.Tensor) -> tuple[int, ...]:
    order = memory_order(view)
    assert order is not None, "an operation's output is dense"
    return order


def _whole(builder: Builder, value: Value) -> bool:
    """Whether a value is exactly its buffer, in whatever order."""
    size = math.prod(builder.buffers[value.buffer].shape)
    return memory_order(value.view) is not None and math.prod(value.sizes) == size


def _operand_mode(view: torch.Tensor, order: tuple[int, ...], shape: tuple[int, ...], op: FusedOp) -> str | None:
    """How the epilogue of `op` reads an operand of its shape: the whole output, or one value a channel."""
    if view.storage_offset() != 0:
        return None
    reference = dense_view(shape, order)
    real = [d for d in range(len(shape)) if shape[d] > 1]
    if all(view.stride(d) == reference.stride(d) for d in real):
        return FULL
    inner = order[-1]
    per_channel = view.stride(inner) == 1 and all(view.stride(d) == 0 for d in real if d != inner)
    if per_channel and _has_channels(op, shape[inner]):
        return CHANNEL
    return None


def _has_channels(op: FusedOp, count: int) -> bool:
    """Whether a value's innermost dimension is the operation's channels: a reshape may lie between them."""
    return op.output_spec.shape[-1] == count


def with_constant(builder: Builder, node: Node, name: str, op: str, constant: np.ndarray) -> Value:
    """A step whose operand is a tensor of the model, broadcast to the output."""
    constant = np.asarray(constant, dtype=np.float32)
    if constant.size == 1 and op != "prelu" and len(node.spec.shape) == len(builder.values[name].sizes):
        return scalar(builder, node, name, float(constant.reshape(-1)[0]), op)
    shape = node.spec.shape
    value = builder.values[name]
    anchor = builder.open_op(name)
    if anchor is not None and value.sizes == shape and _whole(builder, value):
        step, packed = _constant_step(op, constant, _order(value.view), shape, anchor)
        if step.operand == CHANNEL or anchor.kind == "map":
            builder.add_step(anchor, step, packed)
            return value
    target, value = new_map(builder, node, value)
    step, packed = _constant_step(op, constant, _order(value.view), shape, target)
    builder.add_step(target, step, packed)
    return value


def _constant_step(
    name: str, constant: np.ndarray, order: tuple[int, ...], shape: tuple[int, ...], op: FusedOp
) -> tuple[Step, np.ndarray]:
    lifted = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    inner = order[-1]
    if lifted.shape[inner] == shape[inner] == lifted.size and _has_channels(op, shape[inner]):
        return Step(name, (), CHANNEL, constant=True), lifted.reshape(-1)
    full = np.broadcast_to(lifted, shape).transpose(order)
    return Step(name, (), FULL, constant=True), full.reshape(-1)


_IDEMPOTENT = frozenset({"relu", "clip", "abs"})


def apply(builder: Builder, node: Node, name: str, step: Step) -> Value:
    """Append a step without operand to the operation that made `name`, or start a map."""
    value = builder.values[name]
    anchor = open_whole(builder, name)
    if anchor is not None:
        # Twice is once: a residual branch that vanished leaves two rectifiers in a row.
        if not (anchor.steps and anchor.steps[-1] == step and step.name in _IDEMPOTENT):
            builder.add_step(anchor, step, None)
        return value
    target, value = new_map(builder, node, value)
    builder.add_step(target, step, None)
    return value


def open_whole(builder: Builder, name: str) -> FusedOp | None:
    """What made the value `name`, if a step on all of its output can be a step of it."""
    return builder.open_op(name) if _whole(builder, builder.values[name]) else None


def new_map(builder: Builder, node: Node, value: Value) -> tuple[FusedOp, Value]:
    """A map over `value`, broadcast to the node's shape; the output keeps the input's memory order."""
    shape = node.spec.shape
    source = value.view.expand(shape)
    order = memory_order(value.view) if value.sizes == shape else None
    if order is None:
        # Steps read the order off the output's view: where sizes of 1 leave a choice, make the same one here.
        order = _order(dense_view(shape, channels_last(4) if len(shape) == 4 else tuple(range(len(shape)))))
    attrs: dict[str, object] = {
        "strides": tuple(source.stride(d) for d in order),
        "offset": source.storage_offset(),
    }
    spec = builder.buffers[value.buffer]
    result = builder.emit(node, "map", [(value.buffer, flat(spec))], shape, order, attrs, dtype=node.spec.dtype)
    return builder.producer[result.buffer], result
