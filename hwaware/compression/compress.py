"""Compression of a task's model to a budget by measured costs."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hwaware.compiler.targets import restored_target
from hwaware.compression.budget import Budget, Costs, quantity, unreachable, within
from hwaware.compression.cut import cut
from hwaware.compression.gamma import Sources, scale_sources
from hwaware.compression.plan import Plan
from hwaware.compression.schedules import Schedules
from hwaware.compression.shrink import Shrinker
from hwaware.compression.task import Task, check, evaluate
from hwaware.compression.train import fit
from hwaware.compression.width_costs import WidthCosts
from hwaware.costs.model import CostModel
from hwaware.costs.prediction import Prediction
from hwaware.costs.table import CostTable
from hwaware.errors import BudgetError
from hwaware.graph.capture import capture_batched
from hwaware.graph.channels import channel_groups
from hwaware.graph.model import GraphModel

MORPHNET = "morphnet"
METHODS = (MORPHNET,)
EPOCHS, LR = 20, 0.05
SHRINK_SHARE = 0.4  # of the epochs; the others fine-tune

# on_progress(phase, done, total, note): `done` of `total` epochs of a phase are over.
OnProgress = Callable[[str, int, int, str], object]


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
    seed: int = 0,
    epochs: int = EPOCHS,
    lr: float = LR,
    on_progress: OnProgress | None = None,
) -> Result:
    """Shrink the trained model of `task` until its predicted cost is within `budget`, then fine-tune it.

    `morphnet`: training under a regulariser of measured latency on BatchNorm scales, physical slicing, expansion to
    the budget (Gordon et al. 2018, arXiv:1711.06798). `epochs` of training data are spent in all, 40 % of them
    shrinking; `lr` is the peak learning rate. With one number of threads the result is a function of `seed`. The
    evaluation data decides nothing: it is looked at twice, for the metric before and after.

    A model within the budget comes back as it is. Raises BudgetError, with the nearest budget, for one that
    cannot be reached; ModelError for a model without BatchNorm or with NaN weights; MissingCostError where the
    table does not know the model; TaskError where training fails.
    """
    if method not in METHODS:
        raise BudgetError(f"no method {method!r}: choose one of {', '.join(METHODS)}")
    report = on_progress or _silent
    check(task)
    # Where the table only guesses, a search would go for its errors.
    source = table if isinstance(table, CostModel) else CostModel(table, beyond=False)
    graph = capture_batched(task.model, task.example_inputs)
    baseline = GraphModel(graph, task.example_inputs).eval()
    static = baseline.graph_for(task.example_inputs)
    sources, fixed = scale_sources(graph, channel_groups(graph))
    groups = [group for group in channel_groups(graph) if group.name in sources]
    target, choices = restored_target(source.table.manifest.target), source.table.choices
    costs = WidthCosts(static, groups, source, target, choices)
    schedules = Schedules.of(static, target, choices)
    before = costs.predict(costs.full)
    limits = budget.limits(_costs(before))
    plan = Plan(method, task.name, seed, budget.asked(), limits, _costs(before), _costs(before), fixed=fixed)
    metric = evaluate(task, baseline)
    if within(_costs(before), limits):
        note = "the model was within the budget and is unchanged"
        return Result(baseline, baseline, replace(plan, note=note), metric, metric, before, before, schedules)
    _check_reachable(costs, budget, _costs(before), limits)
    model = GraphModel(graph, task.example_inputs)
    shrinker = _shrink(model, task, costs, sources, limits, epochs, lr, seed, report)
    smaller, plan = cut(model, baseline, shrinker, plan)
    after = costs.predict({group.name: group.after for group in plan.groups})
    plan = replace(plan, after=_costs(after))
    if not within(plan.after, limits) or after.latency_ms > before.latency_ms:
        note = "no narrower model came out below the budget: the model is unchanged"
        plan = replace(plan, note=note, after=plan.before, groups=(), layers=())
        return Result(baseline, baseline, plan, metric, metric, before, before, schedules)
    _tune(smaller, task, epochs - _shrink_epochs(epochs), lr, seed, report)
    schedules = schedules.joined(Schedules.of(smaller.graph_for(task.example_inputs), target, choices))
    return Result(smaller, baseline, plan, evaluate(task, smaller), metric, after, before, schedules)


def _silent(phase: str, done: int, total: int, note: str) -> None:
    """Nobody listens."""


def _costs(prediction: Prediction) -> Costs:
    weights, arena = prediction.memory_bytes["weights"], prediction.memory_bytes["arena"]
    return Costs(prediction.latency_ms, weights + arena, weights)


def _check_reachable(costs: WidthCosts, budget: Budget, whole: Costs, limits: Mapping[str, float]) -> None:
    least = _costs(costs.predict(costs.least()))
    if not within(least, limits):
        raise unreachable(budget, whole, least, "the narrowest widths the table has give")


def _shrink_epochs(epochs: int) -> int:
    return max(1, round(SHRINK_SHARE * epochs))


def _shrink(
    model: GraphModel,
    task: Task,
    costs: WidthCosts,
    sources: Sources,
    limits: Mapping[str, float],
    epochs: int,
    lr: float,
    seed: int,
    report: OnProgress,
) -> Shrinker:
    total = _shrink_epochs(epochs)
    batches = operator.length_hint(task.train_data, 0)
    steps = total * batches if batches and task.fit is None else None
    shrinker = Shrinker(model, sources, costs, limits, steps)

    def on_epoch(epoch: int, facts: dict[str, float]) -> None:
        latency = costs.latency(costs.nearest(shrinker.widths()))
        report("shrink", epoch + 1, total, f"loss {facts['loss']:.3f}, {quantity('latency', latency)}")

    fit(
        model,
        task,
        epochs=total,
        lr=lr,
        extra_loss=shrinker.extra_loss,
        after_step=shrinker.after_step,
        on_epoch=on_epoch,
        seed=seed,
    )
    return shrinker


def _tune(model: GraphModel, task: Task, epochs: int, lr: float, seed: int, report: OnProgress) -> None:
    if epochs < 1:
        return

    def on_epoch(epoch: int, facts: dict[str, float]) -> None:
        report("fine-tune", epoch + 1, epochs, f"loss {facts['loss']:.3f}")

    # Other random numbers than in the shrinking phase: other orders of the same data.
    fit(model, task, epochs=epochs, lr=lr, on_epoch=on_epoch, seed=seed + 1)
