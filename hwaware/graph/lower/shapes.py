"""Operators that only move or rename elements."""

from __future__ import annotations

import numpy as np
import torch

from hwaware.graph.constants import call
from hwaware.graph.ir import Node, Ref
from hwaware.graph.lower.builder import Builder, Value, channels_last, dense_view, memory_order
from hwaware.graph.lower.copy import emit_parts
from hwaware.graph.lower.elementwise import with_constant
from hwaware.graph.ops import RESHAPE


def view(builder: Builder, node: Node) -> Value:
    """Reshape, permute, slice, select, expand: PyTorch's own view of the meta tensor, a copy where there is none."""
    arg = next(iter(node.args.values()))
    value = builder.value(arg, node)
    name = next(node.refs())
    if builder.uses[name] != 1:
        builder.pinned.add(value.buffer)
    if node.op not in RESHAPE:
        return Value(value.buffer, call(node, {name: value.view}))
    try:
        return Value(value.buffer, value.view.view(node.spec.shape))
    except RuntimeError:
        plain = builder.materialise(value, _reshape_order(value.sizes, node.spec.shape), node)
        return Value(plain.buffer, plain.view.view(node.spec.shape))


def _reshape_order(before: tuple[int, ...], after: tuple[int, ...]) -> tuple[int, ...]:
    """Memory order to copy into before a reshape: channels last where only channels are split or merged."""
    spatial = after[2:]
    if len(after) == 4 and len(before) > 4 and before[-2:] == spatial and before[0] == after[0]:
        return (0, len(before) - 2, len(before) - 1, *range(1, len(before) - 2))
    return tuple(range(len(before)))


def cat(builder: Builder, node: Node) -> Value:
    """Concatenate (or stack) in the memory order of the first operand."""
    arg = node.args["tensors"]
    assert isinstance(arg, tuple)
    dim = node.args["dim"]
    assert isinstance(dim, int)
    rank = len(node.spec.shape)
    dim %= rank
    stacked = node.op == "stack.default"
    computed = [builder.value(item, node) for item in arg if not builder.is_constant(item)]
    first = computed[0].view
    order = memory_order(first.unsqueeze(dim) if stacked else first) or _default_order(rank)
    target = dense_view(node.spec.shape, order, node.spec.dtype)
    constant = np.zeros(node.spec.shape, np.float32)
    moves = []
    start = 0
    for item in arg:
        assert isinstance(item, Ref)
        size = builder.graph.specs[item.name].shape
        length = 1 if stacked else size[dim]
        if builder.is_constant(item):
            part = builder.constant(item)
            constant[(slice(None),) * dim + (slice(start, start + length),)] = (
                np.expand_dims(part, dim) if stacked else part
            )
        else:
            value = builder.value(item, node)
            view = value.view.unsqueeze(dim) if stacked else value.view
            moves.append((Value(value.buffer, view), target.narrow(dim, start, length)))
        start += length
    if len(computed) == len(arg):
        return emit_parts(builder, node, moves, node.spec.shape, order)
    # Zeros where constants go, which a map adds: it takes the steps that follow as well.
    if node.spec.dtype != "float32":
        raise builder.refuse(node, f"constants of type {node.spec.dtype} are not supported here")
    joined = emit_parts(builder, node, moves, node.spec.shape, order, fill=0.0, suffix="_parts")
    builder.values[node.name + "_parts"] = joined
    return with_constant(builder, node, node.name + "_parts", "add", constant)


def _default_order(rank: int) -> tuple[int, ...]:
    return channels_last(rank) if rank in (3, 4) else tuple(range(rank))


def shuffle(builder: Builder, node: Node) -> Value:
    """Pixel shuffle and channel shuffle: a reshape, a permute and a reshape, as one copy."""
    value = builder.value(next(iter(node.args.values())), node)
    if len(value.sizes) != 4:
        raise builder.refuse(node, f"an input of rank {len(value.sizes)} is not supported, only N, C, H, W")
    _, c, h, w = value.sizes
    view = value.view
    order = memory_order(view) or channels_last(view.dim())
    target = dense_view(node.spec.shape, order, node.spec.dtype)
    if node.op == "channel_shuffle.default":
        groups = node.args["groups"]
        assert isinstance(groups, int)
        source = view.unflatten(1, (groups, c // groups)).transpose(1, 2)
        goal = target.unflatten(1, (c // groups, groups))
    else:
        factor = node.args["upscale_factor"]
        assert isinstance(factor, int)
        # in: (n, c', f, f, h, w) -> out (n, c', h, f, w, f)
        source = view.unflatten(1, (c // factor**2, factor, factor)).permute(0, 1, 4, 2, 5, 3)
        goal = target.unflatten(3, (w, factor)).unflatten(2, (h, factor))
    return emit_parts(builder, node, [(Value(value.buffer, source), goal)], node.spec.shape, order)


def pad(builder: Builder, node: Node) -> Value:
    """Constant padding; negative amounts crop."""
    if node.args.get("mode", "constant") != "constant":
        raise builder.refuse(node, f"padding mode {node.args['mode']} is not supported, only constant")
    amounts = node.args["pad"]
    assert isinstance(amounts, tuple)
    value = builder.value(node.args["self"], node)
    source = value.view
    order = memory_order(source) or _default_order(source.dim())
    target = dense_view(node.spec.shape, order, node.spec.dtype)
    goal = target
    for index in range(0, len(amounts), 2):
        dim = source.dim() - 1 - index // 2
        low, high = int(amounts[index]), int(amounts[index + 1])  # type: ignore[arg-type]
        first, last = max(0, -low), source.shape[dim] - max(0, -high)
        source = source.narrow(dim, first, last - first)
        goal = goal.narrow(dim, max(0, low), last - first)
    fill = node.args.get("value") or 0.0
    assert isinstance(fill, (int, float))
    moves: list[tuple[Value, torch.Tensor]] = [(Value(value.buffer, source), goal)]
    return emit_parts(builder, node, moves, node.spec.shape, order, fill=float(fill))
