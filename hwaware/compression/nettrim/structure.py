"""Which layers of a graph Net-Trim takes, what stands behind them, and why others stay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hwaware.compression.nettrim.maps import ConvMap, DenseMap, LinearMap
from hwaware.compression.quantize.choices import layers
from hwaware.errors import ModelError
from hwaware.graph.arguments import integer, integers, optional_ref, ref
from hwaware.graph.ir import Graph, Node
from hwaware.graph.ops import DROPOUT, LINEAR, RESHAPE

# A ReLU behind one of these gives what one before it would: the layer's own outputs are taken before the pool.
_PASSED = RESHAPE | DROPOUT | {"max_pool2d.default", "max_pool1d.default"}


@dataclass(frozen=True)
class Found:
    """The layers to trim, in order, and for each other layer the reason why it stays."""

    layers: tuple[Node, ...]
    left: dict[str, str]


def found(graph: Graph) -> Found:
    """The dense layers and convolutions of `graph` that can be trimmed. Raises ModelError where there are none."""
    users = graph.users()
    taken, left = [], {}
    for node in layers(graph):
        reason = _refusal(graph, node, users)
        if reason is None:
            taken.append(node)
        else:
            left[node.name] = reason
    if not taken:
        why = "; ".join(f"{name}: {reason}" for name, reason in left.items()) or "it has no layers with weights"
        raise ModelError(f"Net-Trim can trim no layer of the model: {why}")
    return Found(tuple(taken), left)


def _refusal(graph: Graph, node: Node, users: dict[str, list[Node]]) -> str | None:
    names = [name for name in (optional_ref(node, "weight"), optional_ref(node, "bias")) if name is not None]
    if any(name not in graph.tensors or len(users[name]) > 1 for name in names):
        return "its weights are computed or shared"
    if node.op in LINEAR:
        return None if len(node.spec.shape) == 2 else "its input is not (N, features)"
    if node.op != "conv2d.default":
        return f"{node.op} has no form as a convex programme here"
    return "its channels are in groups" if integer(node, "groups") != 1 else None


def rectified(graph: Graph, node: Node) -> bool:
    """Whether all that reads the layer `node` is a ReLU, perhaps behind a max pool."""
    users = graph.users()
    name = node.name
    while len(users[name]) == 1 and name not in graph.outputs:
        reader = users[name][0]
        if reader.op == "relu.default":
            return True
        if reader.op not in _PASSED:
            return False
        name = reader.name
    return False


def weights_of(graph: Graph, node: Node) -> Tensor:
    """(n, K): a column an output, the bias the last row where there is one."""
    rows = graph.tensors[ref(node, "weight")].detach().flatten(1).T
    bias = optional_ref(node, "bias")
    return rows if bias is None else torch.cat([rows, graph.tensors[bias].detach()[None]])


def tensors_of(graph: Graph, node: Node, weights: Tensor) -> dict[str, Tensor]:
    """The layer's tensors by name, from `weights` (n, K)."""
    name, bias = ref(node, "weight"), optional_ref(node, "bias")
    old = graph.tensors[name]
    rows = weights if bias is None else weights[:-1]
    made = {name: rows.T.reshape(old.shape).to(old.dtype).contiguous()}
    return made if bias is None else {**made, bias: weights[-1].to(old.dtype).clone()}


def layer_map(graph: Graph, node: Node, inputs: Sequence[Tensor], dtype: torch.dtype) -> LinearMap:
    """The layer `node` as a map of its weights, for `inputs` by batch."""
    bias = optional_ref(node, "bias") is not None
    batches = [x.to(dtype) for x in inputs]
    if node.op in LINEAR:
        if bias:
            batches = [torch.cat([x, x.new_ones(len(x), 1)], 1) for x in batches]
        return DenseMap(torch.cat(batches), bias)
    kernel = graph.tensors[ref(node, "weight")].shape
    stride, padding, dilation = (_pair(integers(node, key)) for key in ("stride", "padding", "dilation"))
    return ConvMap(batches, (kernel[2], kernel[3]), stride, padding, dilation, bias)


def _pair(values: tuple[int, ...]) -> tuple[int, int]:
    return values[0], values[-1]
