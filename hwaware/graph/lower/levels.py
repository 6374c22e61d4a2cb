"""Quantised values: integer convolutions and dense layers, and where numbers become levels and levels numbers.

Each of these is a step of the operation before it where it can be one, so that between two integer layers nothing but
uint8 levels is ever stored. A dequantised value has no memory: what reads it reads the levels.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from hwaware.graph.ir import Node, Spec
from hwaware.graph.lower.anchors import conv_attrs, image
from hwaware.graph.lower.builder import Builder, Value, channels_last, is_dense
from hwaware.graph.lower.elementwise import new_map, open_whole
from hwaware.graph.lower.program import FusedOp
from hwaware.graph.workload import CHANNEL, DEQUANTIZE, PAIR, PAIRED, QUANTIZE, SCALE, Step

LEVELS, MOST_PAIR = "uint8", 128


def quantize(builder: Builder, node: Node) -> Value:
    """The last step of what made the numbers, or a map of its own."""
    name = next(node.refs())
    scale, zero = (float(builder.constant(node.args[key])) for key in ("scale", "zero"))
    value = builder.values[name]
    op = open_whole(builder, name)
    if op is None:
        op, value = new_map(builder, node, value)
    constants = np.array([np.float32(1) / np.float32(scale), zero], np.float32)
    builder.add_step(op, Step(QUANTIZE, (), PAIR, constant=True), constants)
    op.output_spec = Spec(op.output_spec.shape, LEVELS)
    builder.buffers[value.buffer] = Spec(builder.buffers[value.buffer].shape, LEVELS)
    return Value(value.buffer, value.view.to(torch.uint8))


def dequantize(builder: Builder, node: Node) -> Value:
    """The same memory, to be read as numbers."""
    value = builder.value(node.args["input"], node)
    scale, zero = (float(builder.constant(node.args[key])) for key in ("scale", "zero"))
    return Value(value.buffer, value.view, (scale, zero))


def as_numbers(builder: Builder, node: Node, name: str) -> None:
    """Make the numbers of `name` something that lies in memory, for a `node` that reads nothing else."""
    value = builder.values[name]
    if value.levels is None:
        return
    made = Node(f"{name}_numbers", node.op, node.args, Spec(value.sizes, "float32"), node.path)
    op, numbers = new_map(builder, made, Value(value.buffer, value.view))
    builder.add_step(op, Step(DEQUANTIZE, (), PAIR, constant=True), np.array(value.levels, np.float32))
    builder.values[name] = numbers


def conv(builder: Builder, node: Node) -> Value:
    """Integer convolution; its sums become numbers in its first step."""
    weight = builder.constant(node.args["weight"])
    buffer, spec, _ = image(builder, node, builder.value(node.args["input"], node))
    attrs = {**conv_attrs(node, weight), PAIRED: paired(weight)}
    constants = {"weight": weight, **_sums(builder, node)}
    value = builder.emit(node, "conv2d", [(buffer, spec)], node.spec.shape, channels_last(4), attrs, constants)
    return _scaled(builder, node, builder.producer[value.buffer], value)


def linear(builder: Builder, node: Node) -> Value:
    """Integer dense layer over the last dimension; the rows may lie in any order."""
    weight = builder.constant(node.args["weight"])
    value = builder.value(node.args["input"], node)
    rank = len(value.sizes)
    rows = sorted(range(rank - 1), key=lambda d: (-value.strides[d] if value.sizes[d] > 1 else 0, d))
    order = (*rows, rank - 1)
    if not is_dense(value.view, order):
        order = tuple(range(rank))
    buffer, spec, dense = builder.dense_input(value, order, node)
    matrix = Spec((math.prod(spec.shape[:-1]), spec.shape[-1]), spec.dtype)
    constants = {"weight": weight, **_sums(builder, node)}
    sizes = (*dense.sizes[:-1], weight.shape[0])
    result = builder.emit(node, "dense", [(buffer, matrix)], sizes, order, {PAIRED: paired(weight)}, constants)
    op = builder.producer[result.buffer]
    op.output_spec = Spec((matrix.shape[0], weight.shape[0]), "float32")
    return _scaled(builder, node, op, result)


def paired(weight: np.ndarray) -> bool:
    """Whether any two neighbours of an output channel, in the order (height, width, input channel), sum to 128 at most.

    Absolute values are summed. Products of such a pair with levels cannot leave 16 bits: 255 · 128 < 2¹⁵.
    """
    rows = np.abs(np.moveaxis(weight.astype(np.int32), 1, -1).reshape(len(weight), -1))
    return bool((rows[:, 1:] + rows[:, :-1]).max(initial=0) <= MOST_PAIR and rows.max(initial=0) <= MOST_PAIR)


def _sums(builder: Builder, node: Node) -> dict[str, np.ndarray]:
    return {name: np.atleast_1d(builder.constant(node.args[name])).astype(np.int32) for name in ("bias", "zero")}


def _scaled(builder: Builder, node: Node, op: FusedOp, value: Value) -> Value:
    scale = builder.constant(node.args["scale"]).astype(np.float32)
    builder.add_step(op, Step(SCALE, (), CHANNEL, constant=True), scale)
    return value
