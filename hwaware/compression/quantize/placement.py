"""Where a graph turns to levels and back, given the layers that compute in integers.

A value that such a layer reads is quantised once, for all of them. What only moves or compares elements (maximum
pooling, reshapes, slices, concatenations, padding with 0) works on levels when nothing that reads it needs floats, so
that the quantisation goes up to where the numbers are made; all values on such a way share one scale and zero point.

Elementwise operators are computed in registers: where they read a value that exists as levels, they read it through a
dequantisation, if that spares the value in float32 altogether. A residual branch is the usual case.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hwaware.graph.arguments import optional_ref, ref
from hwaware.graph.ir import Graph, Node
from hwaware.graph.ops import (
    ACTIVATION,
    BATCH_NORM,
    BINARY,
    CAT,
    DROPOUT,
    IDENTITY,
    PERMUTE,
    POWER,
    RESHAPE,
    SCALAR_BINARY,
    SLICE,
)

ELEMENTWISE = ACTIVATION | BINARY | SCALAR_BINARY | POWER | BATCH_NORM
_MAX_POOL = frozenset({"max_pool2d.default", "max_pool1d.default"})
PADDING = frozenset({"constant_pad_nd.default", "pad.default"})
_SINGLE = _MAX_POOL | RESHAPE | PERMUTE | SLICE | DROPOUT | IDENTITY
_JOINS = CAT


@dataclass(frozen=True)
class Placement:
    """Names of values (which are those of nodes, or inputs of the graph).

    `quantised` are made in float32 and turned to levels; `moved` are computed on levels; of both, what reads
    `dequantised` values in float32 gets them from their levels. `root` gives for each value that exists as levels
    the first quantised one that shares its scale.
    """

    quantised: frozenset[str]
    moved: frozenset[str]
    dequantised: frozenset[str]
    root: Mapping[str, str]


def placement(graph: Graph, integer: Callable[[str], bool]) -> Placement:
    """The placement for `graph` where the layers of which `integer` is true, by name, read levels."""
    users = graph.users()
    wanted = {ref(node, "input") for node in graph.nodes if integer(node.name)}
    moved: set[str] = set()
    easy: set[str] = set()  # made here, and only elementwise readers need it in float32

    def spared(reader: Node, name: str) -> bool:
        if integer(reader.name) and optional_ref(reader, "input") == name:
            return True
        return reader.name in moved or (reader.name in easy and moves(graph, reader) and reader.op not in _JOINS)

    for node in reversed(graph.nodes):
        readers = users[node.name]
        if node.name not in graph.outputs and all(spared(r, node.name) or r.op in ELEMENTWISE for r in readers):
            easy.add(node.name)
        if node.name in easy & wanted and moves(graph, node):
            moved.add(node.name)
            wanted |= set(node.refs())
    # What only elementwise operators read moves as well, where what it reads exists as levels only.
    for node in graph.nodes:
        if node.name in easy and moves(graph, node) and node.op not in _JOINS and next(node.refs()) in easy & wanted:
            moved.add(node.name)
            wanted.add(node.name)
    floats = {
        name
        for name in wanted & easy
        if any(reader.name not in moved and not spared(reader, name) for reader in users[name])
    }
    return Placement(frozenset(wanted - moved), frozenset(moved), frozenset(floats), _roots(graph, wanted, moved))


def moves(graph: Graph, node: Node) -> bool:
    """Whether `node` computes on levels what it computes on their values."""
    if node.op not in _SINGLE | _JOINS | PADDING or node.spec.dtype != "float32":
        return False
    if node.op in PADDING and (node.args.get("mode", "constant") != "constant" or node.args.get("value")):
        return False
    return not any(name in graph.tensors for name in node.refs())


def _roots(graph: Graph, wanted: set[str], moved: set[str]) -> dict[str, str]:
    """For each value that exists as levels the first made of those it shares them with."""
    root = {name: name for name in [*graph.inputs, *(node.name for node in graph.nodes)] if name in wanted}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    order = {name: place for place, name in enumerate(root)}
    for node in graph.nodes:
        if node.name in moved:
            ends = sorted({find(name) for name in (*node.refs(), node.name)}, key=order.__getitem__)
            for end in ends[1:]:
                root[end] = ends[0]
    return {name: find(name) for name in root}
