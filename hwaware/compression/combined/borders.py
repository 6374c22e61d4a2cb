"""What it costs where layers that compute in integers meet others: conversions, and epilogues that write floats.

Nothing of this is a formula: the model is lowered with one layer in integers, and with each two that are near each
other, and priced by the table. With x = 1 for a layer in integers the cost is c + Σ uᵢ xᵢ + Σ pᵢⱼ xᵢ xⱼ, exact where
what a value is stored as depends on two layers, as it does in a chain.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwaware.compression.combined.forms import FLOAT, Forms
from hwaware.compression.outline import Widths
from hwaware.compression.quantize.choices import INTEGER, Precision
from hwaware.errors import MissingCostError
from hwaware.graph.ir import Graph, Node

Costs = Mapping[str, float]  # by meter
# Of a whole model: less than this is what sums in another order differ by.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Borders:
    """At some widths: what each layer in integers costs beside its own operation, and each two together.

    A layer or pair that is missing costs nothing; one that the table does not know, infinitely much.
    """

    alone: Mapping[str, Costs]
    together: Mapping[tuple[str, str], Costs]


def measured_borders(forms: Forms, widths: Widths, meters: Sequence[str]) -> Borders:
    """The borders at `widths` by `meters`, which are sums over operations."""
    integer = _integer(forms)
    if integer is None:
        return Borders({}, {})
    able = {name for name, options in forms.options.items() if integer in options}
    present = {op.op.name for op in forms.floats.outline(widths).ops}
    able &= present

    def price(*names: str) -> Costs:
        try:
            return forms.priced(widths, dict.fromkeys(names, integer), meters)
        except MissingCostError:
            return dict.fromkeys(meters, float("inf"))

    floats = price()
    single = {name: price(name) for name in sorted(able)}
    alone = {}
    for name, costs in single.items():
        alone[name] = {
            meter: costs[meter]
            - floats[meter]
            - (forms.own(meter, name, integer, widths) - forms.own(meter, name, FLOAT, widths))
            for meter in meters
        }
    together = {}
    known = {name for name, costs in single.items() if all(map(math.isfinite, costs.values()))}
    for one, two in neighbours(forms.graph, able):
        if not {one, two} <= known:
            continue  # one of them is not to be had in integers
        both = price(one, two)
        extra = {meter: both[meter] - single[one][meter] - single[two][meter] + floats[meter] for meter in meters}
        if any(abs(value) > _ROUNDING * abs(floats[meter]) for meter, value in extra.items()):
            together[one, two] = extra
    return Borders(alone, together)


def neighbours(graph: Graph, layers: set[str]) -> Iterator[tuple[str, str]]:
    """Pairs of `layers` with no other of them on some way between, and those whose outputs meet in one value."""
    users = graph.users()
    order = {node.name: index for index, node in enumerate(graph.nodes)}
    reached = {name: _reached(users, name, layers) for name in layers}
    for one in sorted(layers, key=order.__getitem__):
        for two in sorted(layers, key=order.__getitem__):
            if order[one] < order[two] and (two in reached[one] or (reached[one] & reached[two]) - layers):
                yield one, two


def _reached(users: Mapping[str, Sequence[Node]], name: str, layers: set[str]) -> set[str]:
    """Nodes that the output of `name` flows into, up to the next layers."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for node in users[waiting.pop()]:
            if node.name not in found:
                found.add(node.name)
                if node.name not in layers:
                    waiting.append(node.name)
    return found


def _integer(forms: Forms) -> Precision | None:
    """One stands for all: what is beside a layer sees levels, whatever its weights are."""
    return next((precision for precision in INTEGER if precision in forms.uniform), None)
