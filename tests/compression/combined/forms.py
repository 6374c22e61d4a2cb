"""Nets of `morphnets` in several precisions, with invented costs."""

from __future__ import annotations

import functools

from torch import nn

from hwaware.compression.combined.borders import Borders, measured_borders
from hwaware.compression.combined.forms import Forms
from hwaware.compression.quantize.choices import Precision
from tests.compression.morphnets import prepare
from tests.compression.tables import Formula, integers_pay

PRECISIONS: tuple[Precision, ...] = ("int8p", "weight8")
METERS = ("latency", "size")


@functools.cache
def forms_of(net: type[nn.Module]) -> Forms:
    prepared = prepare(net, Formula(integers_pay))
    return Forms.known(prepared.static, prepared.costs, PRECISIONS)


@functools.cache
def borders_of(net: type[nn.Module]) -> Borders:
    forms = forms_of(net)
    return measured_borders(forms, forms.floats.full, METERS)


def saliency_of(forms: Forms, worth: float = 1.0) -> dict[str, list[float]]:
    """The first channels of each group are worth most."""
    return {name: [worth * (size - index) / size for index in range(size)] for name, size in forms.floats.full.items()}


def losses_of(forms: Forms, loss: float) -> dict[str, dict[Precision, float]]:
    """Later layers lose less."""
    placed = enumerate(forms.options.items())
    return {layer: dict.fromkeys(options[1:], loss / (1 + place)) for place, (layer, options) in placed}
