"""What transformers are made of: the heads of attention are the channels that can go.

Of a batched product ``a·b`` every matrix is computed from its own two alone. Where channels vary along the batch
dimensions (the heads), all of one matrix is one class, in `a`, in `b` and in the product: a head goes whole, with
its rows of the query, key and value projections and its columns of the output projection. A softmax or a norm
inside one head ties nothing more.
"""

from __future__ import annotations

import numpy as np

from hwaware.graph.arguments import integer, integers, optional_ref, ref
from hwaware.graph.identities import Ids
from hwaware.graph.ir import Node
from hwaware.graph.tracer import Tracer


def fixed(tracer: Tracer, node: Node, why: str) -> Ids:
    """Pin everything that `node` reads; its result has no channels of its own."""
    for name in node.refs():
        tracer.pin(name, f"{node.op} in {node.path or node.name} {why}")
    return np.zeros([1] * len(node.spec.shape), dtype=np.int64)


def matmul(tracer: Tracer, node: Node) -> Ids:
    """Queries by keys, or attention by values; a product with a plain matrix is pinned."""
    other = ref(node, "other" if node.op.startswith("matmul") else "mat2")
    return _by_heads(tracer, node, [ref(node, "self"), other])


def attention(tracer: Tracer, node: Node) -> Ids:
    """``softmax(q·kᵀ·scale + mask)·v``, whose mask may be one for all heads or one for each."""
    if node.args.get("enable_gqa"):
        return fixed(tracer, node, "shares keys and values between heads")
    heads = _by_heads(tracer, node, [ref(node, name) for name in ("query", "key", "value")])
    mask = optional_ref(node, "attn_mask")
    if mask is not None and heads.any():
        _mask(tracer, node, mask, heads)
    return heads


def softmax(tracer: Tracer, node: Node) -> Ids:
    """Along anything but channels."""
    source = ref(node, "self")
    if tracer.ids(source).shape[integer(node, "dim")] > 1:
        tracer.pin(source, f"{node.op} in {node.path or node.name} runs over channels")
    return tracer.ids(source)


def layer_norm(tracer: Tracer, node: Node) -> Ids:
    """Over all channels, which pins them, or over those of each head by itself."""
    source = ref(node, "input")
    ids = tracer.ids(source)
    normalised = range(ids.ndim - len(integers(node, "normalized_shape")), ids.ndim)
    if any(ids.shape[dim] > 1 for dim in normalised):
        if all(ids.shape[dim] == 1 for dim in range(normalised.start)):
            reason = f"normalised together by layer norm {node.path or node.name}"
            tracer.pin(source, f"{reason}: over fewer channels it is another function")
            return ids
        # Each head by itself: a head goes with all that is normalised together, or not at all.
        rows = ids.reshape(*ids.shape[: normalised.start], -1)
        tracer.identities.tie(rows[..., :1], rows[..., 1:])
    return ids


def _by_heads(tracer: Tracer, node: Node, operands: list[str]) -> Ids:
    """The class of every matrix, as identities of a value of the result's rank that vary by matrix only."""
    rank = len(node.spec.shape)
    heads = []
    for name in operands:
        ids = tracer.ids(name)
        if ids.ndim < 3:
            return fixed(tracer, node, "mixes channels: an operand is one matrix, without heads")
        matrices = ids.reshape(*[1] * (rank - ids.ndim), *ids.shape[:-2], -1)
        heads.append(matrices)
    leading = [matrices.shape[:-1] for matrices in heads]
    if all(max(shape) == 1 for shape in leading):
        return fixed(tracer, node, "mixes channels: there are no heads, or only one")
    if len(set(leading)) > 1:
        return fixed(tracer, node, "shares an operand between heads")
    for matrices in heads:
        tracer.identities.tie(matrices, heads[0][..., :1])
    return heads[0][..., :1, None]


def _mask(tracer: Tracer, node: Node, mask: str, heads: Ids) -> None:
    """Each head's own mask goes with it; one that heads share stays."""
    ids, shape = tracer.ids(mask), tracer.shape(mask)
    missing = [1] * (heads.ndim - ids.ndim)
    if any(size == 1 < wide for size, wide in zip([*missing, *shape], heads.shape, strict=True)):
        tracer.pin(mask, f"broadcast over heads by {node.op} in {node.path or node.name}")
        return
    tracer.identities.tie(ids.reshape([*missing, *ids.shape]), heads)
