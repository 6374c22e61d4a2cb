"""Weights of convolutions and dense layers as they are stored: float32, or fewer bits that kernels decode."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hwaware.graph.constants import call
from hwaware.graph.ir import Node, Ref
from hwaware.graph.lower.builder import Builder
from hwaware.graph.lower.program import FusedOp
from hwaware.graph.workload import CHANNEL, CODEBOOK, HALF, INT4, INT4_ZERO, INT8, SPARSE, STORED, Step


@dataclass(frozen=True)
class StoredWeight:
    """`constants` and attributes of an operation: its ``weight`` and, of groups of int4, the ``weight_scale`` of each.

    Of int8 a `scale` a channel is left to the first step.
    """

    constants: dict[str, np.ndarray]
    attrs: dict[str, object] = field(default_factory=dict)
    scale: np.ndarray | None = None

    def add_scale(self, builder: Builder, op: FusedOp) -> None:
        """The step that the weights' scale is, if it is one."""
        if self.scale is not None:
            builder.add_step(op, Step("mul", (), CHANNEL, constant=True), self.scale)


def stored_weight(builder: Builder, node: Node, *, decoding: bool = True) -> StoredWeight:
    """The weight of a `node`; float32 for one whose kernels are not `decoding`.

    int4 of several filters for each single input channel is float32 too: its kernels would pad them to whole vectors;
    and so are sparse and coded weights in groups.
    Raises UnsupportedOpError for a weight that depends on the input.
    """
    arg = node.args["weight"]
    if isinstance(arg, Ref) and arg.name in builder.decoded:
        made = builder.decoded[arg.name]
        if decoding and _has_kernel(node, made):
            return _FORMS[made.op](builder, made)
        return StoredWeight({"weight": call(made, {name: builder.graph.tensors[name] for name in made.refs()}).numpy()})
    if not builder.is_constant(arg):
        raise builder.refuse(node, "a weight that is computed by the model is not supported")
    return StoredWeight({"weight": builder.constant(arg)})


def _has_kernel(node: Node, made: Node) -> bool:
    """Whether there is one for a `node` whose weights `made` makes."""
    groups = node.args.get("groups", 1)
    assert isinstance(groups, int)
    channels, inputs = made.spec.shape[:2]
    if made.op in (_SPARSE, _CODEBOOK):
        return groups == 1
    return not (made.op == _INT4 and groups > 1 and inputs == 1 and channels > groups)


def _int8(builder: Builder, node: Node) -> StoredWeight:
    scale = builder.constant(node.args["scale"]).astype(np.float32)
    return StoredWeight({"weight": builder.constant(node.args["levels"])}, {STORED: INT8}, scale)


def _half(builder: Builder, node: Node) -> StoredWeight:
    return StoredWeight({"weight": builder.constant(node.args["half"])}, {STORED: HALF})


def _int4(builder: Builder, node: Node) -> StoredWeight:
    shape, group = node.args["shape"], node.args["group"]
    assert isinstance(shape, tuple)
    sizes = tuple(int(size) for size in shape)  # type: ignore[arg-type]
    packed = builder.constant(node.args["packed"])
    rows = np.stack([packed & 15, packed >> 4], -1).reshape(sizes[0], -1)[:, : math.prod(sizes[1:])]
    levels = rows.astype(np.int8) - np.int8(INT4_ZERO)
    if len(sizes) > 2:
        levels = np.moveaxis(levels.reshape(sizes[0], *sizes[2:], sizes[1]), -1, 1)
    scale = builder.constant(node.args["scale"])
    return StoredWeight({"weight": levels.reshape(sizes), "weight_scale": scale}, {STORED: f"{INT4}x{group}"})


def _sparse(builder: Builder, node: Node) -> StoredWeight:
    """Kernels leave the zeros out when they pack it."""
    weight = call(node, {name: builder.graph.tensors[name] for name in node.refs()}).numpy()
    return StoredWeight({"weight": weight}, {STORED: f"{SPARSE}{np.count_nonzero(weight)}"})


def _codebook(builder: Builder, node: Node) -> StoredWeight:
    """The shape of the weight is looked at, its values are not."""
    codebook = builder.constant(node.args["codebook"])
    constants = {"weight": np.zeros(node.spec.shape, np.float32), "codes": builder.constant(node.args["codes"])}
    words, depth = codebook.shape
    return StoredWeight({**constants, "codebook": codebook}, {STORED: f"{CODEBOOK}{words}x{depth}"})


_INT4, _SPARSE, _CODEBOOK = "hwaware.decode_int4", "hwaware.decode_sparse", "hwaware.decode_codebook"
_FORMS = {
    "hwaware.decode_int8": _int8,
    _INT4: _int4,
    "hwaware.decode_half": _half,
    _SPARSE: _sparse,
    _CODEBOOK: _codebook,
}
