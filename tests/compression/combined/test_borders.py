from __future__ import annotations

import itertools

import pytest
from torch import nn

from hwaware.compression.combined.borders import neighbours
from hwaware.compression.combined.problem import Combined
from tests.compression.combined.forms import METERS, borders_of, forms_of, losses_of, saliency_of
from tests.compression.morphnets import Chain, Concat, Depthwise, Residual


@pytest.mark.parametrize("net", [Chain, Residual, Depthwise, Concat])
def test_one_layer_and_each_two_neighbours_in_integers_are_priced_exactly(net: type[nn.Module]) -> None:
    forms, borders = forms_of(net), borders_of(net)
    full = forms.floats.full
    floats = forms.priced(full, {}, METERS)
    able = {name for name, options in forms.options.items() if "int8p" in options}
    pairs = list(neighbours(forms.graph, able))
    assert len(pairs) >= len(able) - 1
    for names in [(name,) for name in able] + pairs:
        true = forms.priced(full, dict.fromkeys(names, "int8p"), METERS)
        for meter in METERS:
            counted = floats[meter] + sum(
                forms.own(meter, name, "int8p", full) - forms.own(meter, name, "float32", full) for name in names
            )
            counted += sum(borders.alone[name][meter] for name in names)
            counted += borders.together.get(tuple(names), {}).get(meter, 0.0) if len(names) > 1 else 0.0  # type: ignore[arg-type]
            assert counted == pytest.approx(true[meter], rel=1e-9)


def test_two_layers_that_read_one_value_share_its_conversion() -> None:
    """The branches of `Concat` both read the input: what each pays alone they pay once together."""
    borders = borders_of(Concat)
    (left, right) = list(forms_of(Concat).options)[:2]
    assert borders.alone[left]["latency"] > 0
    assert borders.together[left, right]["latency"] == pytest.approx(-borders.alone[left]["latency"], rel=1e-6)


def test_neighbours_have_no_layer_between_them() -> None:
    forms = forms_of(Chain)
    layers = list(forms.options)
    assert list(neighbours(forms.graph, set(layers))) == list(itertools.pairwise(layers))


@pytest.mark.parametrize("net", [Chain, Residual, Depthwise])
def test_the_problem_counts_what_lowering_says(net: type[nn.Module]) -> None:
    """Exactly in one precision at any widths, and at the present widths in every mixture of two neighbours."""
    forms = forms_of(net)
    full = forms.floats.full
    combined = Combined(forms, borders_of(net), full, ("latency",))
    problem = combined.problem(saliency_of(forms), losses_of(forms, 1e-3))
    chosen = {holder.name: 0 for holder in combined.holders}
    for holder in combined.holders:
        for place, variant in enumerate(holder.variants):
            if variant.width == 0:
                continue
            here = {**chosen, holder.name: place}
            decided = combined.decided(here)
            if len(decided.choices) > 1 or (decided.choices and decided.widths != full):
                continue
            true = forms.priced(decided.widths, decided.choices, ("latency",))
            if not all(decided.widths.values()):
                continue
            assert problem.cost("latency", here) == pytest.approx(true["latency"], rel=1e-9), decided
