"""Compression of a task's model to a budget by measured costs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from hwaware.compiler.targets import restored_target
from hwaware.compression.budget import Budget, Costs, unreachable, within
from hwaware.compression.channel_values import KINDS
from hwaware.compression.halp.prune import halp
from hwaware.compression.meters import LATENCY
from hwaware.compression.morphnet import morphnet
from hwaware.compression.plan import Plan
from hwaware.compression.predicted import predicted
from hwaware.compression.prepare import prepare
from hwaware.compression.schedules import Schedules
from hwaware.compression.scratch import fresh
from hwaware.compression.search import Found, OnProgress, Options, Search
from hwaware.compression.task import Task, check, evaluate, training_loss
from hwaware.compression.train import fit
from hwaware.compression.width_costs import WidthCosts
from hwaware.costs.model import CostModel
from hwaware.costs.prediction import Prediction
from hwaware.costs.table import CostTable
from hwaware.errors import BudgetError
from hwaware.graph.capture import capture_batched
from hwaware.graph.model import GraphModel

MORPHNET, HALP, BEST = "morphnet", "halp", "best"
_SEARCHES: Mapping[str, Callable[[Search, GraphModel], Found]] = {MORPHNET: morphnet, HALP: halp}
METHODS = (*_SEARCHES, BEST)
FINE_TUNE, SCRATCH = "fine-tune", "scratch"
FINALS = (FINE_TUNE, SCRATCH)
EPOCHS, LR = 20, 0.05
# Share of latency that is left free, by how far the table was off when it was checked; where nothing is known of that.
MOST_ROOM, USUAL_ROOM = 0.02, 0.01
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
    method: str = MORPHNET,
    options: Options | None = None,
    final: str = FINE_TUNE,
    seed: int = 0,
    epochs: int = EPOCHS,
    lr: float = LR,
    on_progress: OnProgress | None = None,
    checkpoints: Path | None = None,
) -> Result:
    """Change the widths of the trained model of `task` until its predicted cost is within `budget`, then train it.

    `morphnet`: shrinking under a regulariser of measured cost and expansion to the budget (Gordon et al. 2018,
    arXiv:1711.06798). `halp`: a knapsack of Taylor saliencies over the measured table (Shen et al. 2022,
    arXiv:2110.10811). `best` runs both and takes the one with the lower loss on the training data. `epochs` of
    training data are spent in all, 40 % of them on the search (by each method); the others fine-tune, or train the
    structure anew with `final` ``scratch``. `lr` is the peak learning rate. With one number of threads the result is
    a function of `seed`. The evaluation data decides nothing: it is looked at twice, for the metric before and after.
    In the folder `checkpoints` every epoch is kept, and what is found there is gone on with.

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
    prepared = prepare(baseline, source, options.selection)
    before, whole = predicted(baseline, source)
    limits = budget.limits(whole)
    plan = Plan(method, task.name, seed, budget.asked(), limits, whole, whole, fixed=prepared.fixed)
    metric = evaluate(task, baseline)
    schedules = _schedules(baseline, source)
    unchanged = Result(baseline, baseline, plan, metric, metric, before, before, schedules)
    if within(whole, limits):
        return _noted(unchanged, "the model was within the budget and is unchanged")
    _check_reachable(prepared.costs, budget, whole, limits)
    aims = aimed(limits, prepared.costs.costs(prepared.costs.least()), source.table)
    searched = max(1, round(SHRINK_SHARE * epochs))
    about = {
        "budget": str(budget),
        "options": repr(options),
        "table": source.table.sealed().manifest.cells_sha256,
        "model": digest(baseline),
    }
    candidates = []
    for name in _SEARCHES if method == BEST else (method,):
        folder = None if checkpoints is None else checkpoints / name
        search = Search(task, source, aims, options, searched, lr, seed, report, folder, about)
        found = _SEARCHES[name](search, baseline)
        cost, spent = predicted(found.model, source)
        if within(spent, limits) and cost.latency_ms <= before.latency_ms:
            model = _trained(found.model, search, epochs - searched, final)
            candidates.append((model, cost, _decided(plan, name, spent, found)))
    if not candidates:
        return _noted(unchanged, "no narrower model came out below the budget: the model is unchanged")
    model, cost, plan = candidates[0]
    if len(candidates) > 1:
        losses = [training_loss(task, model) for model, _, _ in candidates]
        model, cost, plan = candidates[losses.index(min(losses))]
        told = ", ".join(f"{each.method} {loss:.4f}" for (_, _, each), loss in zip(candidates, losses, strict=True))
        plan = replace(plan, note=f"loss on the training data: {told}")
    schedules = schedules.joined(_schedules(model, source))
    return Result(model, baseline, plan, evaluate(task, model), metric, cost, before, schedules)


def aimed(limits: Mapping[str, float], least: Costs, table: CostTable) -> dict[str, float]:
    """Limits with room for what the table's predictions are usually off, for measured latency to be within budget.

    A limit that leaves no room above the `least` costs stays.
    """
    off = (table.manifest.validation or {}).get("rmspe")
    room = min(off, MOST_ROOM) if isinstance(off, float) and off >= 0 else USUAL_ROOM
    lower = limits.get(LATENCY, math.inf) / (1 + room)
    return {**limits, LATENCY: lower} if least.latency <= lower < math.inf else dict(limits)


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


def _check_reachable(costs: WidthCosts, budget: Budget, whole: Costs, limits: Mapping[str, float]) -> None:
    least = costs.costs(costs.least())
    if not within(least, limits):
        raise unreachable(budget, whole, least, "the narrowest widths the table has give")


def _trained(model: GraphModel, search: Search, epochs: int, final: str) -> GraphModel:
    if final == SCRATCH:
        model = GraphModel(fresh(model.graph, search.seed), model.example_inputs)
    if epochs < 1:
        return model.eval()
    fit(
        model,
        search.task,
        epochs=epochs,
        lr=search.lr,
        on_epoch=search.tell(final, epochs, dict),
        # Other random numbers than in the search: other orders of the same data.
        seed=search.seed + 1,
        checkpoint=search.checkpoint(final),
        precision=search.options.precision,
    )
    return model
