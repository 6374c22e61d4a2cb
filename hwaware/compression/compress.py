"""Compression of a task's model to a budget by measured costs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from hwaware.compiler.targets import restored_target
from hwaware.compression.aims import aimed, refused
from hwaware.compression.budget import Budget, Costs, unreachable, within
from hwaware.compression.channel_values import KINDS
from hwaware.compression.combined.method import joint, precision
from hwaware.compression.combined.solver import OutOfReach
from hwaware.compression.final import FINALS, FINE_TUNE, trained
from hwaware.compression.finish import Measure, asked_latency, but_latency, finished
from hwaware.compression.halp.prune import halp
from hwaware.compression.morphnet import morphnet
from hwaware.compression.plan import Plan
from hwaware.compression.predicted import predicted
from hwaware.compression.prepare import prepare
from hwaware.compression.schedules import Schedules
from hwaware.compression.search import Found, Gauge, OnProgress, Options, Search
from hwaware.compression.task import Task, check, evaluate, training_loss
from hwaware.costs.model import CostModel
from hwaware.costs.prediction import Prediction
from hwaware.costs.table import CostTable
from hwaware.errors import BudgetError
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel

JOINT, PRECISION, MORPHNET, HALP, BEST = "joint", "precision", "morphnet", "halp", "best"
_SEARCHES: Mapping[str, Callable[[Search, GraphModel], Found]] = {
    JOINT: joint,
    PRECISION: precision,
    MORPHNET: morphnet,
    HALP: halp,
}
_OF_BEST = (MORPHNET, HALP)
METHODS = (*_SEARCHES, BEST)
EPOCHS, LR = 20, 0.05
SHRINK_SHARE = 0.4  # of the epochs; the others train what came out


@dataclass(frozen=True)
class Result:
    """A compressed model, the plan that made it, and both models' metric and predicted cost.

    `model` takes any batch size; `baseline` is the model that went in, in the same form. `schedules` are those that
    the costs were measured with: what is compiled from the result is written by them.
    """

    model: GraphModel
    baseline: GraphModel
    plan: Plan
    metric: float
    baseline_metric: float
    cost: Prediction
    baseline_cost: Prediction
    schedules: Schedules


def compress(
    task: Task,
    table: CostTable | CostModel,
    budget: Budget,
    *,
    method: str = JOINT,
    options: Options | None = None,
    final: str = FINE_TUNE,
    seed: int = 0,
    epochs: int = EPOCHS,
    lr: float = LR,
    on_progress: OnProgress | None = None,
    checkpoints: Path | None = None,
    measure: Measure | None = None,
) -> Result:
    """Change widths and precisions of the trained model of `task` until its predicted cost is within `budget`.

    `joint`: widths and precisions in one search, chosen by an exact solver. `precision`: widths stay, and nothing is
    trained unless quantisation asks for it. The others change widths only. `morphnet`: shrinking under a regulariser
    of measured cost and expansion to the budget (Gordon et al. 2018, arXiv:1711.06798). `halp`: a knapsack of Taylor
    saliencies over the measured table (Shen et al. 2022, arXiv:2110.10811). `best` runs these two and takes the one
    with the lower loss on the training data.

    `epochs` of training data are spent in all, 40 % of them on the search (by each method); the others fine-tune, or
    train the structure anew with `final` ``scratch``; quantisation that calibration does not make good gets a fifth as
    many. `lr` is the peak learning rate. With one number of threads the result is a function of `seed`. The evaluation
    data decides nothing: it is looked at twice, for the metric before and after. In the folder `checkpoints` every
    epoch is kept, and what is found there is gone on with. With `measure` the finalists are run on the device before
    one is chosen, and none is taken that is slower than the model that went in; MorphNet and HALP expand to what is
    measured instead of what is predicted.

    A model within the budget comes back as it is. Raises BudgetError, with the nearest budget, for one that
    cannot be reached; ModelError for a model without channels to shrink or with NaN weights; MissingCostError where
    the table does not know the model; TaskError where training fails.
    """
    options = options or Options()
    _check_choices(method, final, options)
    report = on_progress or _silent
    check(task)
    # Where the table only guesses, a search would go for its errors.
    source = table if isinstance(table, CostModel) else CostModel(table, beyond=False)
    graph = capture_batched(task.model, task.example_inputs)
    baseline = GraphModel(graph, task.example_inputs).eval()
    before, whole = predicted(baseline, source)
    limits = budget.limits(whole)
    plan = Plan(method, task.name, seed, budget.asked(), limits, whole, whole)
    metric = evaluate(task, baseline)
    schedules = _schedules(baseline, source)
    unchanged = Result(baseline, baseline, plan, metric, metric, before, before, schedules)
    if within(whole, limits):
        return _noted(unchanged, "the model was within the budget and is unchanged")
    least = whole
    if method != PRECISION:
        prepared = prepare(baseline, source, options.selection)
        plan = replace(plan, fixed=prepared.fixed)
        least = prepared.costs.costs(prepared.costs.least())
        if method != JOINT and not within(least, limits):
            raise unreachable(budget, whole, least, "the narrowest widths the table has give")
    aims = aimed(limits, least, source.table)
    searched = max(1, round(SHRINK_SHARE * epochs))
    about = {
        "budget": str(budget),
        "options": repr(options),
        "table": source.table.sealed().manifest.cells_sha256,
        "model": digest(baseline),
    }
    candidates = []
    for name in _OF_BEST if method == BEST else (method,):
        folder = None if checkpoints is None else checkpoints / name
        gauge = _gauge(measure, baseline, plan) if measure is not None and name in _OF_BEST else None
        search = Search(task, source, aims, options, searched, lr, seed, report, folder, about, gauge)
        try:
            found = _SEARCHES[name](search, baseline)
        except OutOfReach as error:
            raise refused(error, budget, whole, limits) from error
        cost, spent = predicted(found.model, source, found.choices)
        # What was measured to be within the latency asked for may be predicted above it.
        if within(spent, limits if gauge is None else but_latency(limits)) and cost.latency_ms <= before.latency_ms:
            model = trained(found.model, search, epochs - searched, final) if found.groups else found.model
            candidates.append((search, found, model, cost, _decided(plan, name, spent, found)))
    if not candidates:
        return _noted(unchanged, "nothing came out below the budget: the model is unchanged")
    search, found, model, cost, plan = candidates[0]
    if len(candidates) > 1:
        losses = [training_loss(task, model) for _, _, model, _, _ in candidates]
        search, found, model, cost, plan = candidates[losses.index(min(losses))]
        told = ", ".join(f"{each[-1].method} {loss:.4f}" for each, loss in zip(candidates, losses, strict=True))
        plan = replace(plan, note=f"loss on the training data: {told}")
    if found.choices or measure is not None:
        last = finished(search, found, model, baseline, plan, epochs, measure)
        if last is None:
            return _noted(unchanged, "measured on the device nothing was faster: the model is unchanged")
        model, cost, plan = last.model, last.cost, last.plan
    schedules = schedules.joined(_schedules(model, source))
    return Result(model, baseline, plan, evaluate(task, model), metric, cost, before, schedules)


def digest(model: nn.Module) -> str:
    """SHA-256 of the names and values of a model's tensors."""
    found = hashlib.sha256()
    for name, tensor in model.state_dict().items():
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _check_choices(method: str, final: str, options: Options) -> None:
    for what, given, known in (
        ("method", method, METHODS),
        ("final training", final, FINALS),
        ("kind of channel values", options.selection.values, KINDS),
    ):
        if given not in known:
            raise BudgetError(f"no {what} {given!r}: choose one of {', '.join(known)}")
    if options.rounds < 1 or (options.overshoot is not None and options.overshoot <= 0) or options.selection.grow < 1:
        raise BudgetError("rounds and grow are at least 1, overshoot is above 0")


def _silent(phase: str, done: int, total: int, note: str) -> None:
    """Nobody listens."""


def _noted(unchanged: Result, note: str) -> Result:
    return replace(unchanged, plan=replace(unchanged.plan, note=note))


def _gauge(measure: Measure, baseline: GraphModel, plan: Plan) -> Gauge:
    """A share of the latency of what went in is one of that as it is measured in turn."""

    def share(model: GraphModel) -> float:
        whole, ms = measure([baseline, model])
        return ms / asked_latency(plan, whole)

    return share


def _decided(plan: Plan, method: str, after: Costs, found: Found) -> Plan:
    return replace(
        plan,
        method=method,
        after=after,
        groups=found.groups,
        layers=found.layers,
        omega=found.omega,
        strength=found.strength,
        history=found.history,
    )


def _schedules(model: GraphModel, source: CostModel) -> Schedules:
    target = restored_target(source.table.manifest.target)
    return Schedules.of(model.graph_for(model.example_inputs), target, source.table.choices)
