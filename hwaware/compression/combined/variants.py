"""What the solver chooses from: for each group of channels a width, together with the precisions of some layers.

A layer between two groups costs what both widths and its precision say. The solver knows costs of pairs, so that its
precision belongs to the choice of one of the two groups: the one that has fewer layers so far.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hwaware.compression.combined.forms import FLOAT, Forms
from hwaware.compression.halp.steps import MOST, candidates
from hwaware.compression.outline import Widths
from hwaware.compression.quantize.choices import Precision

# Choices of one group of the solver: beyond that layers are on their own.
_MOST_VARIANTS = 160


@dataclass(frozen=True)
class Variant:
    """One choice: a width (None for a layer on its own) and the precisions of the layers that go with it."""

    width: int | None
    precisions: tuple[Precision, ...]

    def label(self, layers: Sequence[str]) -> str:
        """For people."""
        parts = [] if self.width is None else [f"{self.width} channels"]
        return ", ".join([*parts, *(f"{layer} {each}" for layer, each in zip(layers, self.precisions, strict=True))])


@dataclass(frozen=True)
class Holder:
    """A group of the solver: channels of one width with `layers` whose precision goes with them, or a layer alone."""

    name: str
    group: str | None
    layers: tuple[str, ...]
    variants: tuple[Variant, ...]

    def precision(self, variant: Variant, layer: str) -> Precision:
        """That of one of its layers."""
        return variant.precisions[self.layers.index(layer)]


def holders(forms: Forms, present: Widths) -> tuple[Holder, ...]:
    """All groups at up to their `present` widths, and layers on their own where they depend on at most one."""
    widths = {name: _widths(forms, name, present) for name in present}
    there = {op.op.name for op in forms.floats.outline(present).ops}
    with_group: dict[str, list[str]] = {name: [] for name in present}
    own: list[str] = []
    for layer, options in forms.options.items():
        if layer not in there or len(options) == 1:
            continue
        units = [name for name in forms.units(layer, present) if len(widths[name]) > 1]
        host = min(units, key=lambda name: _count(forms, widths[name], with_group[name]), default="")
        if len(units) == 2 and _count(forms, widths[host], [*with_group[host], layer]) <= _MOST_VARIANTS:
            with_group[host].append(layer)
        else:
            own.append(layer)
    found = [
        Holder(name, name, tuple(layers), _variants(widths[name], forms.options, layers))
        for name, layers in with_group.items()
    ]
    paths = {node.name: node.path or node.name for node in forms.graph.nodes}
    shared = Counter(paths[name] for name in forms.options)  # one module called twice
    for name in own:
        called = paths[name] if shared[paths[name]] == 1 else name
        found.append(Holder(f"precision of {called}", None, (name,), _variants([None], forms.options, [name])))
    return tuple(found)


def _count(forms: Forms, widths: Sequence[int], layers: Sequence[str]) -> int:
    return len(widths) * math.prod(len(forms.options[layer]) for layer in layers)


def _variants(
    widths: Sequence[int | None], options: Mapping[str, Sequence[Precision]], layers: Sequence[str]
) -> tuple[Variant, ...]:
    precisions = [options[layer] for layer in layers]
    # A group that is gone has no layers: one choice of precisions says all.
    return tuple(
        Variant(width, each)
        for width in widths
        for each in ([(FLOAT,) * len(layers)] if width == 0 else itertools.product(*precisions))
    )


def _widths(forms: Forms, name: str, present: Widths) -> list[int]:
    """Tops of steps in any precision, at most `MOST`, the narrowest and the present one among them."""
    found = sorted({width for costs in forms.uniform.values() for width in candidates(costs, name, present)})
    if len(found) > MOST:
        found = [found[round(index * (len(found) - 1) / (MOST - 1))] for index in range(MOST)]
    return list(dict.fromkeys(found))
