"""Cross-layer equalisation: channels of two layers in a row are given the same range in both.

Nagel et al. 2019 (arXiv:1906.04721, section 4.1). With f(s x) = s f(x) for s > 0, W2 f(W1 x + b) is
(W2 S) f(S⁻¹ W1 x + S⁻¹ b) for any positive diagonal S. For channel i, s = √(r1 / r2) makes both ranges √(r1 r2), r1
being the largest |weight| that makes the channel and r2 the largest that reads it. A layer belongs to two such pairs:
all are done over and over until none changes.

Between the layers may be what is homogeneous: ReLU and its leaky forms, and pooling. ReLU6 is not, and its pairs stay
as they are: another activation in its place would compute something else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hwaware.graph.arguments import integer, optional_ref, ref
from hwaware.graph.ir import Graph, Node
from hwaware.graph.ops import DROPOUT, IDENTITY, LINEAR, POOL

_ELEMENTS = frozenset({"relu.default", "leaky_relu.default", "prelu.default"}) | DROPOUT | IDENTITY
_CONV = frozenset({"conv1d.default", "conv2d.default"})
_ROUNDS = 40
_SETTLED = 1e-3  # relative change of every scale


@dataclass(frozen=True)
class Pair:
    """Two layers of which the second reads what the first makes, and `groups` of the second."""

    weight: str
    bias: str | None
    reader: str
    groups: int


def pairs(graph: Graph) -> tuple[Pair, ...]:
    """The pairs of layers of `graph` whose ranges can be moved from one to the other."""
    return tuple(_pairs(graph))


def equalised(graph: Graph) -> Graph:
    """`graph`, whose BatchNorms should be folded, with the same function and channels of like ranges.

    Channels that are zero on either side keep their weights.
    """
    found = pairs(graph)
    tensors = {
        name: graph.tensors[name].double()
        for pair in found
        for name in (pair.weight, pair.reader, pair.bias)
        if name is not None
    }
    for _ in range(_ROUNDS):
        if max([_balance(tensors, pair) for pair in found], default=0.0) < _SETTLED:
            break
    changed = {name: tensor.to(graph.tensors[name].dtype) for name, tensor in tensors.items()}
    return replace(graph, tensors={**graph.tensors, **changed})


def _pairs(graph: Graph) -> Iterator[Pair]:
    users = graph.users()
    for node in graph.nodes:
        if node.op not in _CONV | LINEAR:
            continue
        reader = _reader(graph, users, node)
        names = [optional_ref(node, "weight"), optional_ref(node, "bias")]
        other = None if reader is None else optional_ref(reader, "weight")
        held = [name for name in (*names, other) if name is not None]
        if reader is None or names[0] is None or other is None or not all(_own(graph, users, name) for name in held):
            continue
        yield Pair(names[0], names[1], other, integer(reader, "groups") if reader.op in _CONV else 1)


def _reader(graph: Graph, users: dict[str, list[Node]], node: Node) -> Node | None:
    """The layer of the same kind that alone reads what `node` makes, through what is homogeneous."""
    kind = _CONV if node.op in _CONV else LINEAR
    between = _ELEMENTS | (POOL if node.op in _CONV else frozenset())
    value = node
    while len(users[value.name]) == 1 and value.name not in graph.outputs:
        (reader,) = users[value.name]
        if reader.op in kind:
            return reader if ref(reader, "input") == value.name else None
        if reader.op not in between or next(reader.refs()) != value.name:
            return None
        value = reader
    return None


def _own(graph: Graph, users: dict[str, list[Node]], name: str) -> bool:
    """Whether `name` is a tensor of one layer alone."""
    return name in graph.tensors and len(users[name]) == 1 and name not in graph.outputs


def _balance(tensors: dict[str, Tensor], pair: Pair) -> float:
    """Give a pair equal ranges; how much the most changed channel changed, relatively."""
    made, read = tensors[pair.weight], tensors[pair.reader]
    # (groups, outputs of a group, channels of a group, the rest)
    grouped = read.reshape(pair.groups, -1, read.shape[1], read[0, 0].numel())
    first, second = made.flatten(1).abs().amax(1), grouped.abs().amax((1, 3)).flatten()
    both = (first > 0) & (second > 0)
    scale = torch.where(both, (first / torch.where(both, second, 1.0)).sqrt(), 1.0)
    tensors[pair.weight] = made / scale.reshape(-1, *[1] * (made.dim() - 1))
    if pair.bias is not None:
        tensors[pair.bias] = tensors[pair.bias] / scale
    tensors[pair.reader] = (grouped * scale.reshape(pair.groups, 1, -1, 1)).reshape(read.shape)
    return float((scale - 1).abs().max())
