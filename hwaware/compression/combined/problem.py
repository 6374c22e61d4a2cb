"""The joint solver's problem: widths and precisions, what they cost by the table and what they are believed to lose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwaware.compression.combined.borders import Borders
from hwaware.compression.combined.forms import FLOAT, Forms
from hwaware.compression.combined.memory import moments
from hwaware.compression.combined.variants import Holder, Variant, holders
from hwaware.compression.joint.problem import Border, Choice, Group, Moment, Problem
from hwaware.compression.meters import MEMORY, SIZE
from hwaware.compression.outline import Widths
from hwaware.compression.quantize.choices import INTEGER, Precision
from hwaware.errors import MissingCostError, ModelError

# Of each layer by precision: how much the loss rises where it alone has it.
Losses = Mapping[str, Mapping[Precision, float]]


@dataclass(frozen=True)
class Decided:
    """Widths of all groups, and the precision of every layer that is not float32."""

    widths: dict[str, int]
    choices: dict[str, Precision]


def sums(meters: Iterable[str]) -> tuple[str, ...]:
    """The meters that are sums over operations, with what peak memory needs of them."""
    found = [SIZE if meter == MEMORY else meter for meter in meters]
    return tuple(dict.fromkeys(found))


class Combined:
    """Costs of all variants at up to the `present` widths, as sums over groups and pairs of groups."""

    def __init__(self, forms: Forms, borders: Borders, present: Widths, meters: Sequence[str]) -> None:
        self.forms, self.present, self.meters = forms, dict(present), sums(meters)
        self.holders = holders(forms, present)
        self._borders = borders
        self._by_group = {holder.group: holder for holder in self.holders if holder.group is not None}
        self._by_layer = {layer: holder for holder in self.holders for layer in holder.layers}
        self._unary = {
            holder.name: {meter: np.zeros(len(holder.variants)) for meter in self.meters} for holder in self.holders
        }
        self._pairs: list[Border] = []
        for op in forms.floats.outline(self.present).ops:
            self._operation(op.op.name, [name for name in op.units if name in self.present])
        for (one, two), extra in borders.together.items():
            self._meeting(one, two, extra)
        self.constants = forms.priced(self.present, {}, self.meters)
        self._peaks: dict[str, tuple[Moment, ...]] = {}
        if MEMORY in meters:
            weights = {name: unary[SIZE] for name, unary in self._unary.items()}
            size = (self.constants[SIZE], weights, [each for each in self._pairs if each.meter == SIZE])
            outline = forms.floats.outline(self.present)
            self._peaks = {MEMORY: moments(outline, self.present, self.holders, size)}

    def problem(self, saliency: Mapping[str, Sequence[float]], losses: Losses) -> Problem:
        """The problem where a group of w channels loses the `saliency` of all but its first w channels."""
        groups = []
        paths = {node.name: node.path or node.name for node in self.forms.graph.nodes}
        for holder in self.holders:
            choices = []
            for index, variant in enumerate(holder.variants):
                gone = 0.0
                if holder.group is not None:
                    kept = saliency[holder.group][: self.present[holder.group]]
                    gone = float(np.sum(kept[variant.width :]))
                pairs = zip(holder.layers, variant.precisions, strict=True)
                loss = gone + sum(losses[layer][each] for layer, each in pairs if each != FLOAT)
                costs = {meter: float(self._unary[holder.name][meter][index]) for meter in self.meters}
                choices.append(Choice(variant.label([paths[layer] for layer in holder.layers]), loss, costs))
            groups.append(Group(holder.name, tuple(choices)))
        return Problem(tuple(groups), tuple(self._pairs), self._peaks, self.constants)

    def decided(self, chosen: Mapping[str, int]) -> Decided:
        """What the positions of the chosen variants mean."""
        widths = dict(self.present)
        choices: dict[str, Precision] = {}
        for holder in self.holders:
            variant = holder.variants[chosen[holder.name]]
            if holder.group is not None and variant.width is not None:
                widths[holder.group] = variant.width
            pairs = zip(holder.layers, variant.precisions, strict=True)
            choices |= {layer: each for layer, each in pairs if each != FLOAT}
        return Decided(widths, choices)

    def _operation(self, name: str, units: list[str]) -> None:
        """Add what an operation costs more, or less, than at the present widths in float32."""
        layer = self._by_layer.get(name)
        units = [unit for unit in units if len({each.width for each in self._by_group[unit].variants}) > 1]
        sides = [self._by_group[unit] for unit in units]
        if layer is not None and layer not in sides:
            sides = [layer, *sides]
        if len(sides) <= 2:
            self._add(name, sides)
            return
        # Between more than two: differences from the present, each on its own.
        for unit in units:
            side = self._by_group[unit]
            both = [side] if layer is None or layer == side else [layer, side]
            self._add(name, both, share=1 / len(units))

    def _add(self, name: str, sides: Sequence[Holder], share: float = 1.0) -> None:
        """With a `share` below 1 what the precision alone changes is counted by that share."""
        if not sides:
            return
        keys = [[self._seen(side, variant, name) for variant in side.variants] for side in sides]
        distinct = [list(dict.fromkeys(each)) for each in keys]
        for meter in self.meters:
            found = np.zeros([len(each) for each in distinct])
            for place in np.ndindex(*found.shape):
                seen = [each[at] for each, at in zip(distinct, place, strict=True)]
                found[place] = self._change(meter, name, sides, seen, share)
            classes = [tuple(each.index(key) for key in seen) for each, seen in zip(distinct, keys, strict=True)]
            if len(sides) == 1:
                self._unary[sides[0].name][meter] += found[list(classes[0])]
            else:
                self._pairs.append(Border(sides[0].name, sides[1].name, meter, found, *classes))

    def _seen(self, side: Holder, variant: Variant, name: str) -> tuple[int | None, Precision | None]:
        """What an operation sees of a variant."""
        units = self.forms.units(name, self.present)
        width = variant.width if side.group in units else None
        return width, side.precision(variant, name) if name in side.layers else None

    def _change(
        self,
        meter: str,
        name: str,
        sides: Sequence[Holder],
        seen: Sequence[tuple[int | None, Precision | None]],
        share: float,
    ) -> float:
        changed = {
            side.group: width
            for side, (width, _) in zip(sides, seen, strict=True)
            if side.group is not None and width is not None
        }
        precision = next((each for _, each in seen if each is not None), FLOAT)
        widths = {**self.present, **changed}
        own = self.forms.own
        try:
            now = own(meter, name, precision, widths)
            before = own(meter, name, FLOAT, self.present)
            beside = 0.0
            if precision in INTEGER and now:
                beside = self._borders.alone.get(name, {}).get(meter, 0.0) * self._ratio(changed)
            if share == 1:
                return now - before + beside
            other = own(meter, name, precision, self.present)
            return (now - other) + share * (other - before + beside)
        except (MissingCostError, ModelError):
            return float("inf")

    def _meeting(self, one: str, two: str, extra: Mapping[str, float]) -> None:
        """Add what two layers in integers cost together beside what each does."""
        if one not in self._by_layer or two not in self._by_layer:
            return
        sides = [self._by_layer[one], self._by_layer[two]]
        for meter in self.meters:
            if not extra[meter]:
                continue
            if sides[0] == sides[1]:
                self._unary[sides[0].name][meter] += [
                    extra[meter] * self._ratio_of(sides[:1], [variant])
                    if self._integers(sides[0], variant, (one, two))
                    else 0.0
                    for variant in sides[0].variants
                ]
                continue
            found = np.zeros([len(side.variants) for side in sides])
            for place in np.ndindex(*found.shape):
                pair = [side.variants[at] for side, at in zip(sides, place, strict=True)]
                if self._integers(sides[0], pair[0], (one,)) and self._integers(sides[1], pair[1], (two,)):
                    found[place] = extra[meter] * self._ratio_of(sides, pair)
            self._pairs.append(Border(sides[0].name, sides[1].name, meter, found))

    def _integers(self, side: Holder, variant: Variant, names: Iterable[str]) -> bool:
        return variant.width != 0 and all(side.precision(variant, name) in INTEGER for name in names)

    def _ratio_of(self, sides: Sequence[Holder], variants: Sequence[Variant]) -> float:
        return self._ratio(
            {
                side.group: variant.width
                for side, variant in zip(sides, variants, strict=True)
                if side.group is not None and variant.width is not None
            }
        )

    def _ratio(self, widths: Widths) -> float:
        """Conversions are by element: how many are left, as far as these groups say."""
        shares = [width / self.present[name] for name, width in widths.items() if self.present[name]]
        return float(np.mean(shares)) if shares else 1.0
