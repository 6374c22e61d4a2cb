"""Which layers of a graph can be coded, why others cannot, and the published rules for d and k."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from hwaware.compression.codebook.coded import Form
from hwaware.errors import ModelError
from hwaware.graph.arguments import integer, optional_ref
from hwaware.graph.ir import Graph, Node
from hwaware.graph.ops import CONV, LINEAR

Kind: TypeAlias = Literal["dense", "pointwise", "spatial"]


@dataclass(frozen=True)
class Layer:
    """A dense layer or a convolution whose `weight` nobody else reads."""

    node: Node
    weight: str
    shape: tuple[int, ...]

    @property
    def name(self) -> str:
        """The node's."""
        return self.node.name

    @property
    def kind(self) -> Kind:
        """By the size of its kernel."""
        if self.node.op in LINEAR:
            return "dense"
        return "pointwise" if self.kernel == 1 else "spatial"

    @property
    def kernel(self) -> int:
        """Positions of the kernel; 1 of a dense layer."""
        return math.prod(self.shape[2:])

    @property
    def groups(self) -> int:
        """Of a convolution; 1 of a dense layer."""
        return 1 if self.node.op in LINEAR else integer(self.node, "groups")

    @property
    def weights(self) -> int:
        """How many."""
        return math.prod(self.shape)

    @property
    def row(self) -> int:
        """Weights of one output channel."""
        return math.prod(self.shape[1:])


@dataclass(frozen=True)
class Rules:
    """Sizes by kind of layer (Stock et al. 2019, section 4.1): `spatial` counts kernels in a block, the others weights.

    `k` is of convolutions, `dense_k` of dense layers; both are lowered for layers with few blocks.
    """

    spatial: int = 1
    pointwise: int = 4
    dense: int = 4
    k: int = 256
    dense_k: int = 2048


SMALL = Rules()
LARGE = Rules(spatial=2)
SMALL_BOTTLENECKS = Rules(dense_k=1024)  # of ResNet-50
LARGE_BOTTLENECKS = Rules(spatial=2, pointwise=8, dense_k=1024)


@dataclass(frozen=True)
class Found:
    """The layers to code, in order, and for every other layer the reason why it stays."""

    layers: tuple[Layer, ...]
    left: dict[str, str]


def found(graph: Graph, *, first: bool = False) -> Found:
    """The layers of `graph` that can be coded; its first convolution only if `first` says so.

    Grouped convolutions are coded like others: all groups share the codebook. Raises ModelError where none is left.
    """
    users = graph.users()
    layers, left = [], {}
    for node in graph.nodes:
        if node.op not in CONV | LINEAR:
            continue
        weight = optional_ref(node, "weight")
        reason = _reason(graph, node, first=first)
        if reason is None and weight is not None and (len(users[weight]) > 1 or weight in graph.outputs):
            reason = "its weight is used elsewhere, too"
        if reason is not None or weight is None:
            left[node.name] = reason or "it has no weight"
        else:
            layers.append(Layer(node, weight, tuple(graph.tensors[weight].shape)))
    if not layers:
        why = "; ".join(f"{name}: {reason}" for name, reason in left.items())
        raise ModelError(f"the model has no layer that can be coded{': ' + why if why else ''}")
    return Found(tuple(layers), left)


def _reason(graph: Graph, node: Node, *, first: bool) -> str | None:
    weight = optional_ref(node, "weight")
    if weight is None or weight not in graph.tensors:
        return "its weight is computed by the model"
    tensor = graph.tensors[weight]
    convolves = node.op in CONV
    reasons = {
        "its weight is in integers already": not tensor.is_floating_point(),
        "transposed convolutions are left alone": "transpose" in node.op,
        "its padding is not a number": isinstance(node.args.get("padding"), str),
        "depthwise convolutions have too few weights to share": (
            convolves and tensor.shape[1] == 1 and integer(node, "groups") > 1
        ),
        "the first convolution has few weights and all the rest depends on it": (
            convolves and not first and optional_ref(node, "input") in graph.inputs
        ),
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def largest_k(vectors: int) -> int:
    """The largest power of two strictly below a quarter of `vectors`; 0 where that is below 2."""
    most = 1
    while most * 2 < vectors / 4:
        most *= 2
    return most if most >= 2 else 0


def form_of(layer: Layer, rules: Rules = SMALL) -> Form | None:
    """d and k of `layer` by `rules`: d is lowered until it divides a row. None for layers with too few blocks."""
    if layer.kind == "spatial":
        inputs = layer.shape[1]
        d = layer.kernel * max(m for m in range(1, rules.spatial + 1) if inputs % m == 0)
    else:
        wanted = rules.dense if layer.kind == "dense" else rules.pointwise
        d = max(m for m in range(1, wanted + 1) if layer.row % m == 0)
    k = min(rules.dense_k if layer.kind == "dense" else rules.k, largest_k(layer.weights // d))
    return Form(d, k) if k >= 2 and d >= 2 else None


def checked(layer: Layer, form: Form) -> Form:
    """`form`, asked for by somebody. Raises ModelError where `layer` cannot have it."""
    vectors = layer.weights // form.d if form.d > 0 else 0
    if form.d < 1 or layer.row % form.d:
        raise ModelError(f"{layer.name}: rows of {layer.row} weights cannot be cut into blocks of {form.d}")
    if form.k < 1 or form.k & (form.k - 1):
        raise ModelError(f"{layer.name}: k = {form.k} is not a power of two")
    if form.k > vectors:
        most = largest_k(vectors) or 1
        raise ModelError(f"{layer.name}: k = {form.k} is larger than its {vectors} vectors; take at most {most}")
    return form
