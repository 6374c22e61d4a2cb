"""Operators that move values without computing: the identities take the same way."""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np

from hwaware.graph.arguments import integer, integers, ref, refs
from hwaware.graph.identities import Ids, compress, reshape
from hwaware.graph.ir import Node
from hwaware.graph.ops import EXPAND, RESHAPE
from hwaware.graph.tracer import Tracer, channels_dim


def without_dims(ids: Ids, dims: Collection[int]) -> Ids:
    """`ids` without some dimensions along which they do not vary."""
    return ids.reshape([size for dim, size in enumerate(ids.shape) if dim not in dims])


def slice_bounds(node: Node, size: int) -> tuple[int, int, int]:
    """Start, end and step of a ``slice.Tensor`` along a dimension of `size`, counted from its front."""
    start, end, step = node.args.get("start"), node.args.get("end"), integer(node, "step")
    window = slice(None if start is None else integer(node, "start"), None if end is None else integer(node, "end"))
    low, high, _ = window.indices(size)
    return low, max(low, high), step


def paddings(node: Node, rank: int) -> list[tuple[int, int]]:
    """Front and back padding of every dimension, first dimension first; negative ones crop."""
    flat = integers(node, "pad")
    last_first = [(flat[i], flat[i + 1]) for i in range(0, len(flat), 2)]
    return [(0, 0)] * (rank - len(last_first)) + last_first[::-1]


def permutation(node: Node, rank: int) -> tuple[int, ...]:
    """Where each dimension of the result comes from."""
    if node.op == "permute.default":
        return tuple(dim % rank for dim in integers(node, "dims"))
    order = list(range(rank))
    if node.op == "t.default":
        return tuple(order[::-1])
    a, b = integer(node, "dim0") % rank, integer(node, "dim1") % rank
    order[a], order[b] = order[b], order[a]
    return tuple(order)


def _reshape(tracer: Tracer, node: Node) -> Ids:
    source = ref(node, "self")
    return reshape(tracer.ids(source), tracer.shape(source), node.spec.shape)


def _permute(tracer: Tracer, node: Node) -> Ids:
    ids = tracer.ids(ref(node, "self"))
    return ids.transpose(permutation(node, ids.ndim))


def _expand(tracer: Tracer, node: Node) -> Ids:
    ids = tracer.ids(ref(node, "self"))
    return ids.reshape([1] * (len(node.spec.shape) - ids.ndim) + [*ids.shape])


def _slice(tracer: Tracer, node: Node) -> Ids:
    source = ref(node, "self")
    ids = tracer.ids(source)
    dim = integer(node, "dim") % ids.ndim
    if ids.shape[dim] == 1:
        return ids
    start, end, step = slice_bounds(node, ids.shape[dim])
    if step != 1:
        tracer.pin(source, f"{node.path or node.name} slices channels with a step")
    return compress(ids[(slice(None),) * dim + (slice(start, end, step),)])


def _select(tracer: Tracer, node: Node) -> Ids:
    ids = tracer.ids(ref(node, "self"))
    dim = integer(node, "dim") % ids.ndim
    index = integer(node, "index") if ids.shape[dim] > 1 else 0
    return ids[(slice(None),) * dim + (index,)]


def _cat(tracer: Tracer, node: Node) -> Ids:
    names = refs(node, "tensors")
    pieces, sizes = [tracer.ids(name) for name in names], [tracer.shape(name) for name in names]
    dim = integer(node, "dim") % len(node.spec.shape)
    if node.op == "stack.default":
        pieces = [np.expand_dims(ids, dim) for ids in pieces]
        sizes = [(*shape[:dim], 1, *shape[dim:]) for shape in sizes]
    across = any(size > 1 for ids in pieces for d, size in enumerate(ids.shape) if d != dim)
    if across and all(ids.shape[dim] == 1 for ids in pieces):
        # Joined along time or space: every piece has the same channels.
        for ids in pieces[1:]:
            tracer.identities.tie(pieces[0], ids)
        return max(pieces, key=lambda ids: ids.size)
    others = np.broadcast_shapes(*(_with(ids.shape, dim, 1) for ids in pieces))
    wide = [np.broadcast_to(ids, _with(others, dim, shape[dim])) for ids, shape in zip(pieces, sizes, strict=True)]
    return compress(np.concatenate(wide, axis=dim))


def _with(shape: tuple[int, ...], dim: int, size: int) -> tuple[int, ...]:
    return (*shape[:dim], size, *shape[dim + 1 :])


def _pad(tracer: Tracer, node: Node) -> Ids:
    source = ref(node, "self")
    ids = tracer.ids(source)
    for dim, (front, back) in enumerate(paddings(node, ids.ndim)):
        # Where many positions share one identity this is space, or all of one class.
        if ids.shape[dim] < tracer.shape(source)[dim] or (front, back) == (0, 0):
            continue
        if node.args.get("mode", "constant") != "constant":
            tracer.pin(source, f"{node.path or node.name} pads channels with other channels")
        ids = ids[(slice(None),) * dim + (slice(max(0, -front), ids.shape[dim] - max(0, -back)),)]
        # Padding is nobody's channel until an addition ties it to one.
        around = [tracer.identities.fresh(*_with(ids.shape, dim, max(0, size))) for size in (front, back)]
        ids = np.concatenate([around[0], ids, around[1]], axis=dim)
    return ids


def _pixel_shuffle(tracer: Tracer, node: Node) -> Ids:
    rank = len(node.spec.shape)
    channels = tracer.along(ref(node, "self"), rank - 3)
    squares = channels.reshape(-1, integer(node, "upscale_factor") ** 2)
    tracer.identities.tie(squares[:, :1], squares[:, 1:])
    return channels_dim(squares[:, 0], rank, rank - 3)


def _channel_shuffle(tracer: Tracer, node: Node) -> Ids:
    channels = tracer.along(ref(node, "self"), 1).reshape(integer(node, "groups"), -1)
    tracer.identities.tie(channels[:1], channels[1:])
    return channels_dim(channels.T.ravel(), len(node.spec.shape))


SHAPE_RULES: dict[str, Callable[[Tracer, Node], Ids]] = {
    **dict.fromkeys(RESHAPE, _reshape),
    **dict.fromkeys(EXPAND, _expand),
    **dict.fromkeys(("permute.default", "transpose.int", "t.default"), _permute),
    **dict.fromkeys(("cat.default", "stack.default"), _cat),
    **dict.fromkeys(("constant_pad_nd.default", "pad.default"), _pad),
    "slice.Tensor": _slice,
    "select.int": _select,
    "pixel_shuffle.default": _pixel_shuffle,
    "channel_shuffle.default": _channel_shuffle,
}
