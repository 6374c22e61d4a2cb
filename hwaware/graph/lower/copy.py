"""Copies between strided views: transposes, slices, concatenation and padding are all this one operation.

A ``copy`` workload writes its output in parts. Each part moves `shape` elements from `input_strides`/`input_offset`
of its input to `output_strides`/`output_offset` of the output; with ``fill`` the rest of the output gets that value.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch

from hwaware.graph.ir import Node
from hwaware.graph.lower.builder import Builder, Value, dense_view, flat

Part = tuple[tuple[int, ...], tuple[int, ...], int, tuple[int, ...], int]


def part(source: torch.Tensor, target: torch.Tensor) -> Part:
    """Shape, input strides and offset, output strides and offset of one move, dimensions merged where possible."""
    dims = zip(target.shape, source.stride(), target.stride(), strict=True)
    return merged(dims, int(source.storage_offset()), int(target.storage_offset()))


def merged(dims: Iterable[tuple[int, int, int]], in_offset: int, out_offset: int) -> Part:
    """The part with these (size, input stride, output stride), in the order of the output's memory."""
    shape: list[int] = []
    ins: list[int] = []
    outs: list[int] = []
    for size, si, so in sorted((dim for dim in dims if dim[0] != 1), key=lambda dim: -dim[2]):
        if shape and ins[-1] == si * size and outs[-1] == so * size:
            shape[-1] *= size
            ins[-1], outs[-1] = si, so
        else:
            shape.append(size)
            ins.append(si)
            outs.append(so)
    if not shape:
        shape, ins, outs = [1], [1], [1]
    return tuple(shape), tuple(ins), in_offset, tuple(outs), out_offset


def emit_parts(
    builder: Builder,
    node: Node,
    moves: Sequence[tuple[Value, torch.Tensor]],
    sizes: Sequence[int],
    order: Sequence[int],
    *,
    fill: float | None = None,
    suffix: str = "",
) -> Value:
    """One copy operation; each move gives a source and the view of the new output it goes to."""
    dtype = builder.buffers[moves[0][0].buffer].dtype
    attrs: dict[str, object] = {"parts": tuple(part(value.view, target) for value, target in moves)}
    if fill is not None:
        attrs["fill"] = float(fill)
    # Sources are whole flat buffers: the parts carry the offsets.
    inputs = [(value.buffer, flat(builder.buffers[value.buffer])) for value, _ in moves]
    return builder.emit(node, "copy", inputs, sizes, order, attrs, suffix=suffix, dtype=dtype)


def emit_copy(builder: Builder, value: Value, order: Sequence[int], node: Node, suffix: str) -> Value:
    """`value` copied into a new dense buffer in memory `order`."""
    dtype = builder.buffers[value.buffer].dtype
    target = dense_view(value.sizes, order, dtype)
    name, number = suffix, 0
    while node.name + name in builder.buffers:
        number += 1
        name = f"{suffix}{number}"
    return emit_parts(builder, node, [(value, target)], value.sizes, order, suffix=name)
