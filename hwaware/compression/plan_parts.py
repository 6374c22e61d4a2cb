"""What a plan says of precisions: the layers, the front they were taken from, the finalists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwaware.fields import Fields

_CHANGE = 3  # what, from, to


@dataclass(frozen=True)
class PrecisionPlan:
    """One layer's precision in the plan, and the others it might have had with all other layers as they are.

    `own_ms` is what its operation costs in each, `change_ms` by how much the whole model's latency would change
    (conversions at its borders included; missing where the table does not know), `loss` by how much the loss was seen
    to rise where it alone has that precision; `border_ms` what integers here cost beside floats on all sides.
    """

    name: str
    path: str
    precision: str
    own_ms: Mapping[str, float]
    change_ms: Mapping[str, float]
    loss: Mapping[str, float]
    border_ms: float = 0.0


@dataclass(frozen=True)
class Finalist:
    """A whole model that was considered last: predicted and, where there was a device, measured milliseconds.

    `loss` is that of the training data.
    """

    name: str
    predicted_ms: float
    loss: float
    measured_ms: float | None = None
    chosen: bool = False


@dataclass(frozen=True)
class FrontPoint:
    """A point of the Pareto front over precisions at the final widths: layers by precision, predicted loss and time."""

    layers: Mapping[str, int]
    latency_ms: float
    loss: float


def precision_plan(fields: Fields) -> PrecisionPlan:
    """One of the list `precisions`."""
    return PrecisionPlan(
        fields.text("name"),
        str(fields.raw("path")),
        fields.text("precision"),
        numbers(fields.section("own_ms")),
        numbers(fields.section("change_ms")),
        numbers(fields.section("loss")),
        fields.number("border_ms"),
    )


def front_point(fields: Fields) -> FrontPoint:
    """One of the list `front`."""
    layers = fields.section("layers")
    counts = {name: layers.integer(name) for name in layers.values}
    return FrontPoint(counts, fields.number("latency_ms", low=0), fields.number("loss"))


def finalist(fields: Fields) -> Finalist:
    """One of the list `finalists`."""
    measured = fields.number("measured_ms", low=0) if fields.has("measured_ms") else None
    return Finalist(
        fields.text("name"),
        fields.number("predicted_ms", low=0),
        fields.number("loss"),
        measured,
        fields.flag("chosen"),
    )


def changes(fields: Fields) -> tuple[tuple[str, str, str], ...]:
    """The list `with_more`."""
    found = fields.raw("with_more")
    if not isinstance(found, list) or not all(isinstance(each, list) and len(each) == _CHANGE for each in found):
        raise fields.error("with_more", "must be a list of [what, from, to]")
    return tuple((str(what), str(before), str(after)) for what, before, after in found)


def numbers(fields: Fields) -> dict[str, float]:
    """All values of a section."""
    return {name: fields.number(name) for name in fields.values}
