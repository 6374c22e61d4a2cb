"""What each layer of a graph may be computed in, and why others may not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from hwaware.errors import ModelError
from hwaware.graph.arguments import optional_ref
from hwaware.graph.integer import LEVELS
from hwaware.graph.ir import Graph, Node
from hwaware.graph.ops import ATTENTION, CONV, EMBEDDING, LINEAR, MATMUL

# "int8": uint8 activations with int8 weights; "int8p": with weights whose neighbours are at most 128 together (see
# `pairs`); "weight8", "weight4" (groups) and "float16": weights stored so, computed with in float32.
Precision: TypeAlias = Literal["float32", "int8", "int8p", "weight8", "weight4", "float16"]
Choices: TypeAlias = Mapping[str, Precision]  # by the name of the layer's node

PRECISIONS: tuple[Precision, ...] = get_args(Precision)
INTEGER: tuple[Precision, ...] = ("int8", "int8p")
WEIGHT_ONLY: tuple[Precision, ...] = ("weight8", "weight4", "float16")
MOST_BIAS = 1 << 28  # levels: leaves room for the products in an int32
_MOST_HALF = 65504.0
_NO_WEIGHT = MATMUL | ATTENTION | EMBEDDING


@dataclass(frozen=True)
class Settled:
    """The precision of every layer that is not float32; by node, why others are that did not ask for it."""

    precisions: dict[str, Precision]
    kept: dict[str, str]


def layers(graph: Graph) -> tuple[Node, ...]:
    """The convolutions and dense layers of `graph`, in order."""
    return tuple(node for node in graph.nodes if node.op in CONV | LINEAR)


def everywhere(graph: Graph, precision: Precision) -> dict[str, Precision]:
    """`precision` for every convolution and dense layer that can have it."""
    return {node.name: precision for node in layers(graph) if refusal(graph, node, precision) is None}


def settled(graph: Graph, choices: Choices) -> Settled:
    """`choices` as far as they can be followed, with a reason for each layer that stays float32 instead.

    Products of two activations and lookup tables are listed as well. Raises ModelError for a name that is no layer
    of `graph` and for an unknown precision.
    """
    named = {node.name: node for node in layers(graph)}
    for name, precision in choices.items():
        if name not in named:
            raise ModelError(f"{name!r} is no convolution or dense layer of the model; it has {', '.join(named)}")
        if precision not in PRECISIONS:
            raise ModelError(f"{name}: the precision {precision!r} is unknown; choose from {', '.join(PRECISIONS)}")
    found = {name: refusal(graph, named[name], precision) for name, precision in choices.items()}
    kept = {name: reason for name, reason in found.items() if reason is not None}
    kept |= {node.name: f"{node.op} has no quantised form" for node in graph.nodes if node.op in _NO_WEIGHT}
    precisions = {name: choices[name] for name in named if name in choices and name not in kept}
    return Settled({name: value for name, value in precisions.items() if value != "float32"}, kept)


def refusal(graph: Graph, node: Node, precision: Precision) -> str | None:
    """Why the convolution or dense layer `node` cannot be computed in `precision`, None where it can."""
    if precision == "float32":
        return None
    weight = graph.tensors.get(optional_ref(node, "weight") or "")
    bias = optional_ref(node, "bias")
    if weight is None or (bias is not None and bias not in graph.tensors):
        return "its weights are computed by the model"
    if str(weight.dtype) != "torch.float32" or node.spec.dtype != "float32":
        return f"its numbers are {str(weight.dtype).removeprefix('torch.')}, not float32"
    if weight.numel() == 0:
        return "it has no weights"
    if precision in ("float16", "weight4"):  # those of 4 bits have scales in float16
        largest = float(weight.abs().max())
        return f"its weight {largest:g} is beyond float16" if largest > _MOST_HALF else None
    return no_integers(graph, node, weight.numel() // len(weight)) if precision in INTEGER else None


def no_integers(graph: Graph, node: Node, products: int) -> str | None:
    """Why `node`, whose sums are of so many products, cannot compute in integers, None where it can."""
    if node.op not in LINEAR and node.op != "conv2d.default":
        return f"{node.op.partition('.')[0]} has no integer kernel; weight8, weight4 and float16 are possible"
    if isinstance(node.args.get("padding"), str):
        return f"padding={node.args['padding']!r} is not numbers"
    name = optional_ref(node, "input")
    if name in graph.tensors:
        return "its input is a constant"
    if name is None or (node.op not in LINEAR and len(graph.specs[name].shape) != 4):
        return "its input has no batch dimension"
    if products * 127 * LEVELS + MOST_BIAS >= 1 << 31:
        return f"sums of {products} products can leave int32"
    return None
