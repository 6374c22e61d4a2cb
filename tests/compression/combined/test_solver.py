from __future__ import annotations

import itertools

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from hwaware.compression.combined.forms import Forms
from hwaware.compression.combined.problem import Combined, Decided
from hwaware.compression.combined.solver import CombinedSolver
from hwaware.costs.prediction import Cost
from hwaware.errors import BudgetError, MissingCostError
from hwaware.graph.workload import Workload
from tests.compression.combined.forms import borders_of, forms_of, losses_of, saliency_of
from tests.compression.morphnets import Chain, Concat, Depthwise, Residual, prepare
from tests.compression.tables import Formula, integers_pay


@pytest.mark.parametrize(
    ("net", "meter"),
    [
        (Chain, "latency"),
        (Residual, "latency"),
        (Residual, "memory"),
        (Concat, "latency"),
        (Concat, "size"),
        (Depthwise, "memory"),
    ],
)
@given(share=st.floats(0.1, 0.95), loss=st.sampled_from([1e-3, 0.3, 10.0]))
@settings(max_examples=2, deadline=None, phases=(Phase.explicit, Phase.generate))
def test_the_answer_is_within_the_limit_as_lowered(net: type[nn.Module], share: float, loss: float, meter: str) -> None:
    forms = forms_of(net)
    full = forms.floats.full
    solver = CombinedSolver(forms, losses_of(forms, loss))
    limits = {meter: share * forms.priced(full, {}, (meter,))[meter]}
    try:
        widths = solver.solve(saliency_of(forms), limits, full)
    except BudgetError:
        least = min(forms.priced(costs.least(), {}, (meter,))[meter] for costs in forms.uniform.values())
        assert least > limits[meter]
        return
    true = forms.priced(widths, solver.choices, (meter,))
    assert true[meter] <= limits[meter]
    if meter == "latency":
        assert solver.costs.latency(widths) == pytest.approx(true[meter], rel=1e-9)


@pytest.mark.parametrize("share", [0.85, 0.6, 0.4])
def test_it_loses_as_little_as_brute_force_over_true_costs(share: float) -> None:
    """Of all variants of a chain, each lowered for real; conversions at other widths are counted by their share."""
    forms = forms_of(Chain)
    full = forms.floats.full
    losses, saliency = losses_of(forms, 0.5), saliency_of(forms)
    limits = {"latency": share * forms.priced(full, {}, ("latency",))["latency"]}
    combined = Combined(forms, borders_of(Chain), full, ("latency",))
    problem = combined.problem(saliency, losses)

    def lost(decided: Decided) -> float:
        gone = sum(sum(saliency[name][width:]) for name, width in decided.widths.items())
        return gone + sum(losses[layer][each] for layer, each in decided.choices.items())

    names = [holder.name for holder in combined.holders]
    every = itertools.product(*(range(len(holder.variants)) for holder in combined.holders))
    ranked = sorted(every, key=lambda each: problem.cost("loss", dict(zip(names, each, strict=True))))
    best = None
    for each in ranked:
        decided = combined.decided(dict(zip(names, each, strict=True)))
        if forms.priced(decided.widths, decided.choices, limits)["latency"] <= limits["latency"]:
            best = lost(decided)
            break
    solver = CombinedSolver(forms, losses)
    widths = solver.solve(saliency, limits, full)
    assert best is not None
    assert best - 1e-9 <= lost(Decided(widths, solver.choices)) <= 1.03 * best


def test_without_a_need_nothing_changes() -> None:
    forms = forms_of(Residual)
    full = forms.floats.full
    solver = CombinedSolver(forms, losses_of(forms, 1e-3))
    whole = forms.floats.latency(full)
    assert solver.solve(saliency_of(forms), {"latency": whole}, full) == full
    assert solver.choices == {}


def test_harmless_integers_come_before_channels() -> None:
    forms = forms_of(Residual)
    full = forms.floats.full
    limits = {"latency": 0.75 * forms.floats.latency(full)}
    solver = CombinedSolver(forms, losses_of(forms, 1e-6))
    assert solver.solve(saliency_of(forms), limits, full) == full
    assert solver.choices
    harmful = CombinedSolver(forms, losses_of(forms, 1e6))
    assert harmful.solve(saliency_of(forms), limits, full) != full
    assert harmful.choices == {}


class Unsure(Formula):
    """Knows layers in integers among their like, and nothing of layers in float32 that write levels."""

    def cost(self, workload: Workload) -> Cost:
        if workload.kind == "conv2d" and (workload.inputs[0].dtype, workload.output.dtype) == ("float32", "uint8"):
            raise MissingCostError("unknown")
        return super().cost(workload)


def test_where_the_table_does_not_know_mixtures_widths_go_and_layers_stay() -> None:
    """Not all of the channels at that: as many stay as the limit leaves."""
    prepared = prepare(Chain, Unsure(integers_pay))
    forms = Forms.known(prepared.static, prepared.costs, ("int8p",))
    assert "int8p" in forms.uniform
    full = forms.floats.full
    solver = CombinedSolver(forms, losses_of(forms, 1e-6))
    limits = {"latency": 0.7 * forms.floats.latency(full)}
    widths = solver.solve(saliency_of(forms), limits, full)
    assert 0.5 * limits["latency"] < forms.priced(widths, solver.choices, limits)["latency"] <= limits["latency"]


def test_it_goes_on_from_its_state() -> None:
    forms = forms_of(Residual)
    full = forms.floats.full
    limits = {"latency": 0.5 * forms.floats.latency(full)}
    first = CombinedSolver(forms, losses_of(forms, 0.1))
    widths = first.solve(saliency_of(forms), limits, full)
    second = CombinedSolver(forms, losses_of(forms, 0.1))
    second.restore(first.state())
    assert second.choices == first.choices
    assert second.with_more == first.with_more
    assert second.costs.latency(widths) == first.costs.latency(widths)
    tighter = {"latency": 0.4 * forms.floats.latency(full)}
    assert first.solve(saliency_of(forms), tighter, widths) == second.solve(saliency_of(forms), tighter, widths)
    assert second.choices == first.choices
