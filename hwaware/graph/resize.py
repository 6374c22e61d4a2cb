"""Rewrite the arguments of nodes that depend on channel counts, for channels dropped or multiplied.

`copies` says for every class of channels how many are left of each: 0 drops it, 1 keeps it, 2 doubles it in
place.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from hwaware.graph.arguments import integer, integers, ref, with_args
from hwaware.graph.channel_shape_rules import paddings, slice_bounds
from hwaware.graph.channels import Trace
from hwaware.graph.identities import Ids, varying
from hwaware.graph.ir import Node, Spec
from hwaware.graph.ops import CONV, EXPAND, RESHAPE


@dataclass(frozen=True)
class Resizer:
    """New shapes of the values of a traced graph."""

    trace: Trace
    copies: Ids

    def counts(self, name: str, dim: int) -> Ids | None:
        """For every position along `dim` of a value how many will be there; None where no channels run."""
        ids = self.trace.tracer.ids(name)
        roots = self.trace.classes[ids]
        # One class on the whole value still runs along the only dimension that was written out.
        dims = varying(roots) or [d for d in range(ids.ndim) if ids.shape[d] > 1]
        if dims != [dim]:
            return None
        counts: Ids = self.copies[np.moveaxis(roots, dim, 0).reshape(roots.shape[dim], -1)[:, 0]]
        return counts

    def gone(self, name: str) -> bool:
        """Whether every channel of a value is dropped."""
        return not self.copies[self.trace.classes[self.trace.tracer.ids(name)]].any()

    def shape(self, name: str) -> tuple[int, ...]:
        """The value's shape after resizing; that of a value that is gone means nothing."""
        sizes = []
        for dim, size in enumerate(self.trace.tracer.shape(name)):
            counts = self.counts(name, dim)
            sizes.append(size if counts is None else int(counts.sum()))
        return tuple(sizes)

    def size(self, name: str, dim: int) -> int:
        """Its size along one dimension."""
        return self.shape(name)[dim]

    def node(self, node: Node) -> Node:
        """`node` with arguments and spec for the new channel counts."""
        rule = _RULES.get(node.op)
        resized = node if rule is None else rule(self, node)
        return replace(resized, spec=Spec(self.shape(node.name), node.spec.dtype))


def _sizes(resizer: Resizer, node: Node) -> Node:
    if "size" not in node.args:
        return _squeeze(resizer, node) if node.op.startswith("squeeze.") else node
    batched = resizer.trace.tracer.graph.batched
    old, shape = integers(node, "size"), resizer.shape(node.name)
    new = [-1 if size == -1 and batched else wide for size, wide in zip(old, shape, strict=True)]
    return with_args(node, {"size": tuple(new)})


def _squeeze(resizer: Resizer, node: Node) -> Node:
    """Name the dimensions: one that only pruning made 1 must stay."""
    shape = resizer.trace.tracer.shape(ref(node, "self"))
    if node.op == "squeeze.default":
        asked = set(range(len(shape)))
    else:
        asked = {dim % len(shape) for dim in integers(node, "dim")}
    dims = tuple(dim for dim in sorted(asked) if shape[dim] == 1)
    return replace(node, op="squeeze.dims", args={"self": node.args["self"], "dim": dims})


def _slice(resizer: Resizer, node: Node) -> Node:
    source = ref(node, "self")
    dim = integer(node, "dim") % len(resizer.trace.tracer.shape(source))
    counts = resizer.counts(source, dim)
    if counts is None:
        return node
    start, end, _ = slice_bounds(node, len(counts))
    return with_args(node, {"start": int(counts[:start].sum()), "end": int(counts[:end].sum())})


def _select(resizer: Resizer, node: Node) -> Node:
    source = ref(node, "self")
    dim = integer(node, "dim") % len(resizer.trace.tracer.shape(source))
    counts = resizer.counts(source, dim)
    if counts is None:
        return node
    return with_args(node, {"index": int(counts[: integer(node, "index") % len(counts)].sum())})


def _groups(resizer: Resizer, node: Node) -> Node:
    source, groups = ref(node, "input"), integer(node, "groups")
    if groups > 1 and resizer.trace.tracer.shape(source)[1] == groups:
        return with_args(node, {"groups": resizer.size(source, 1)})
    return node


def _pad(resizer: Resizer, node: Node) -> Node:
    rank = len(node.spec.shape)
    pads = paddings(node, rank)
    for dim, (front, back) in enumerate(pads):
        after, before = resizer.counts(node.name, dim), resizer.counts(ref(node, "self"), dim)
        if after is None:
            continue
        pads[dim] = (
            int(after[:front].sum()) if front >= 0 else _cropped(before, slice(None, -front), front),
            int(after[len(after) - back :].sum()) if back >= 0 else _cropped(before, slice(back, None), back),
        )
    written = len(integers(node, "pad")) // 2
    flat = [amount for pair in pads[rank - written :][::-1] for amount in pair]
    return with_args(node, {"pad": tuple(flat)})


def _cropped(counts: Ids | None, part: slice, pad: int) -> int:
    return pad if counts is None else -int(counts[part].sum())


_RULES: dict[str, Callable[[Resizer, Node], Node]] = {
    **dict.fromkeys(RESHAPE | EXPAND, _sizes),
    **dict.fromkeys(CONV, _groups),
    **dict.fromkeys(("constant_pad_nd.default", "pad.default"), _pad),
    "slice.Tensor": _slice,
    "select.int": _select,
}
