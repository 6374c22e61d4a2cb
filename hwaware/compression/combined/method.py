"""`joint`: widths and precisions in one search. `precision`: widths stay, layers get the precision that pays.

`joint` trains in rounds as HALP does (Shen et al. 2022, arXiv:2110.10811, section 3.3): limits fall to the budget, and
in each round the solver chooses, of all widths and precisions at once, those that lose least by what channels are worth
then (Taylor) and by what each precision was measured to lose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hwaware.compiler.targets import restored_target
from hwaware.compression.channel_values import channel_values
from hwaware.compression.combined.forms import Forms
from hwaware.compression.combined.solver import CombinedSolver
from hwaware.compression.halp.prune import HalpPruner
from hwaware.compression.halp.saliency import TaylorSaliency
from hwaware.compression.morphnet import rounds
from hwaware.compression.prepare import Prepared
from hwaware.compression.quantize.calibrate import calibrate
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.sensitivity import Losses, sensitivities
from hwaware.compression.search import Found, Search
from hwaware.compression.width_costs import WidthCosts
from hwaware.graph.model import GraphModel


def joint(search: Search, model: GraphModel) -> Found:
    """`model` at the widths found, none of it fine-tuned or quantised, and the precisions of its layers."""
    losses: Losses = {}
    solver: CombinedSolver | None = None

    def begin(
        search: Search, prepared: Prepared, training: GraphModel, limits: Mapping[str, float], steps: int | None
    ) -> HalpPruner:
        nonlocal solver
        forms = known_forms(search, training, prepared.costs)
        if not losses:
            check_reachable(forms, search.limits)
            losses.update(measured_losses(search, model, forms, "sensitivity"))
        solver = CombinedSolver(forms, losses)
        channels = channel_values(search.options.selection.values, training, prepared.groups)
        return HalpPruner(channels, solver, limits, TaylorSaliency(training, prepared.groups), steps)

    found = rounds(search, model, begin)
    assert solver is not None
    return replace(found, choices=dict(solver.choices), with_more=solver.with_more)


def precision(search: Search, model: GraphModel) -> Found:
    """`model` as it is, and the precisions of its layers. Raises BudgetError where the limits cannot be met so."""
    forms = known_forms(search, model, plain_costs(search, model))
    check_reachable(forms, search.limits)
    solver = CombinedSolver(forms, measured_losses(search, model, forms, "sensitivity"))
    solver.solve({}, search.limits, {})
    return Found(model, choices=dict(solver.choices), with_more=solver.with_more)


def check_reachable(forms: Forms, limits: Mapping[str, float]) -> None:
    """Raise OutOfReach, before anything is trained, where nothing is within `limits`."""
    harmless: Losses = {layer: dict.fromkeys(options, 0.0) for layer, options in forms.options.items()}
    full = forms.floats.full
    CombinedSolver(forms, harmless).solve({name: [1.0] * size for name, size in full.items()}, limits, full)


def plain_costs(search: Search, model: GraphModel) -> WidthCosts:
    """The costs of `model` with no width to choose."""
    static = model.graph_for(model.example_inputs)
    manifest = search.source.table.manifest
    return WidthCosts(static, (), search.source, restored_target(manifest.target), search.source.table.choices)


def known_forms(search: Search, model: GraphModel, floats: WidthCosts) -> Forms:
    """The precisions that were asked for and that the table knows."""
    return Forms.known(model.graph_for(model.example_inputs), floats, search.options.precisions)


def measured_losses(search: Search, model: GraphModel, forms: Forms, phase: str) -> Losses:
    """What each precision loses, by the task's data; kept among the checkpoints as `phase`."""
    if len(forms.uniform) == 1:
        return {layer: {} for layer in forms.options}
    plain = folded(model.graph)
    search.report(phase, 0, 1, f"measuring what {len(forms.uniform) - 1} precisions lose, layer by layer")
    return sensitivities(
        plain,
        search.task,
        forms.options,
        calibrate(plain, search.task),
        by=search.options.sensitivity,
        checkpoint=search.checkpoint(phase),
    )
