"""One choice for each group: what the joint solver is asked, as plain data.

A group (channels of one width, a layer's precision, the encoding of its weights) has a few choices; each has a
predicted loss and adds to meters. Two groups that meet pay a border cost by both choices: the conversion between two
precisions, or a convolution whose time is a function of its input and output width. A meter is either a sum over
groups and borders or a peak, the largest of such sums over moments.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

LOSS, LATENCY = "loss", "latency"


@dataclass(frozen=True)
class Choice:
    """One configuration of a group: its loss, and what it adds to each meter (infinite: it cannot be had)."""

    label: str
    loss: float
    costs: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """What gets exactly one of `choices`."""

    name: str
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class BorderCost:
    """What two groups pay for their choices."""

    first: str
    second: str
    meter: str
    cost: float


@dataclass(frozen=True, eq=False)
class Border:
    """What two groups cost together: `cost[i, j]` where the first's choice is of class i and the second's of class j.

    `first_classes` names the class of each choice of the first group, None: each is its own. An infinite cost forbids
    the pair. The meter may be LOSS: errors of two groups that add up to more or less than each alone.
    """

    first: str
    second: str
    meter: str
    cost: FloatArray
    first_classes: tuple[int, ...] | None = None
    second_classes: tuple[int, ...] | None = None

    def paid(self, chosen: Mapping[str, int]) -> BorderCost:
        """What it costs where each group has the choice at the given position."""
        first, second = chosen[self.first], chosen[self.second]
        row = first if self.first_classes is None else self.first_classes[first]
        column = second if self.second_classes is None else self.second_classes[second]
        return BorderCost(self.first, self.second, self.meter, float(self.cost[row, column]))


@dataclass(frozen=True, eq=False)
class Moment:
    """A point in time at which a peak may be reached: `constant` and what each group's choices hold then.

    `parts` lists for a group what each of its choices adds; the meter of `borders` does not matter here.
    """

    constant: float = 0.0
    parts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    borders: tuple[Border, ...] = ()


@dataclass(frozen=True, eq=False)
class Problem:
    """Groups with their choices, borders between them, and what is paid whatever is chosen.

    A meter named in `peaks` is the largest of its moments, any other the sum of `constants` (default 0), of the
    choices and of the borders. Raises ValueError where the parts do not fit together.
    """

    groups: tuple[Group, ...]
    borders: tuple[Border, ...] = ()
    peaks: Mapping[str, tuple[Moment, ...]] = field(default_factory=dict)
    constants: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for fault in self._faults():
            raise ValueError(fault)

    @cached_property
    def meters(self) -> tuple[str, ...]:
        """All meters but the loss: sums first, in the order they are met."""
        sums = [meter for group in self.groups for choice in group.choices for meter in choice.costs]
        sums += [*self.constants, *(border.meter for border in self.borders), *self.peaks]
        return tuple(dict.fromkeys(meter for meter in sums if meter != LOSS))

    def cost(self, meter: str, chosen: Mapping[str, int]) -> float:
        """`meter` (or LOSS) where each group has the choice at the given position."""
        if meter in self.peaks:
            return max(self._held(moment, chosen) for moment in self.peaks[meter])
        terms = [self.constants.get(meter, 0.0)]
        for group in self.groups:
            choice = group.choices[chosen[group.name]]
            terms.append(choice.loss if meter == LOSS else choice.costs.get(meter, 0.0))
        return math.fsum([*terms, *(paid.cost for paid in self.paid(chosen) if paid.meter == meter)])

    def paid(self, chosen: Mapping[str, int]) -> Iterator[BorderCost]:
        """What each border costs there."""
        return (border.paid(chosen) for border in self.borders)

    def _held(self, moment: Moment, chosen: Mapping[str, int]) -> float:
        held = [part[chosen[name]] for name, part in moment.parts.items()]
        return math.fsum([moment.constant, *held, *(border.paid(chosen).cost for border in moment.borders)])

    def _faults(self) -> Iterator[str]:
        sizes = {group.name: len(group.choices) for group in self.groups}
        if not sizes:
            yield "there are no groups"
        if len(sizes) < len(self.groups):
            yield "two groups have the same name"
        for group in self.groups:
            yield from _group_faults(group, self.peaks)
        for border in self.borders:
            yield from _border_faults(border, sizes)
            if border.meter in self.peaks:
                yield f"border {border.first}, {border.second}: {border.meter} is a peak; put it in its moments"
        for meter, constant in self.constants.items():
            if not math.isfinite(constant) or meter in self.peaks:
                yield f"{meter} of {constant} is not a constant of a sum"
        for meter, moments in self.peaks.items():
            yield from _peak_faults(meter, moments, sizes)


def _group_faults(group: Group, peaks: Collection[str]) -> Iterator[str]:
    if not group.choices:
        yield f"group {group.name} has no choice"
    for choice in group.choices:
        if not math.isfinite(choice.loss):
            yield f"{group.name}, {choice.label}: a loss of {choice.loss}"
        for meter, cost in choice.costs.items():
            if not cost > -math.inf or meter == LOSS or meter in peaks:
                yield f"{group.name}, {choice.label}: {meter} of {cost} is not a cost of a choice"


def _peak_faults(meter: str, moments: Sequence[Moment], sizes: Mapping[str, int]) -> Iterator[str]:
    if not moments or meter == LOSS:
        yield f"{meter}: a peak needs a moment, and a name other than {LOSS}"
    for moment in moments:
        if not math.isfinite(moment.constant):
            yield f"{meter}: a constant of {moment.constant}"
        for name, part in moment.parts.items():
            if len(part) != sizes.get(name) or not all(value > -math.inf for value in part):
                yield f"{meter}: what {name} holds is not one number for each of its choices"
        for border in moment.borders:
            yield from _border_faults(border, sizes)


def _border_faults(border: Border, sizes: Mapping[str, int]) -> Iterator[str]:
    name = f"border {border.first}, {border.second}"
    if border.first not in sizes or border.second not in sizes or border.first == border.second:
        yield f"{name}: it needs two different groups"
        return
    if border.cost.ndim != 2 or not (border.cost > -math.inf).all():
        yield f"{name}: the cost is not a matrix of numbers"
        return
    sides = ((border.first, border.first_classes), (border.second, border.second_classes))
    for (side, classes), count in zip(sides, border.cost.shape, strict=True):
        fits = count == sizes[side] if classes is None else len(classes) == sizes[side]
        if not fits or not all(0 <= each < count for each in classes or ()):
            yield f"{name}: the matrix has {count} classes for {side}, its choices have others"
