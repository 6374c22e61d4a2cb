"""From the structure that a search found to the model that is handed over: quantised, re-measured, never slower.

The finalists are the trained model in the precisions of the search, others from the Pareto front at the same widths,
and the one without any. Where there is a device all of them run on it in turn with the model that went in: of those
that are within the latency asked for, and not slower than it, the one with the least loss on the training data is
taken, the fastest of several that are as good; where none is, the fastest that is not slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from hwaware.compression.budget import Costs, quantity, within
from hwaware.compression.combined.finalists import Point, Sweep
from hwaware.compression.combined.method import known_forms, measured_losses, plain_costs
from hwaware.compression.meters import LATENCY
from hwaware.compression.plan import Plan
from hwaware.compression.plan_parts import Finalist, FrontPoint
from hwaware.compression.predicted import predicted
from hwaware.compression.quantize.choices import Precision, layers, settled
from hwaware.compression.quantize.fold import folded
from hwaware.compression.quantize.recover import TOLERANCE, Recovery, quantised
from hwaware.compression.search import Found, Search
from hwaware.compression.task import training_loss
from hwaware.costs.prediction import Prediction
from hwaware.graph.model import GraphModel

# measure(models): of each the median milliseconds on the device, all of them run in turn.
Measure = Callable[[Sequence[GraphModel]], Sequence[float]]
TUNING = 0.2  # of the epochs, at a tenth of the learning rate, where calibration is not enough
_SLOWER_RATE = 0.1
# Losses that differ by so little are the same (besides a share of them, `recover.TOLERANCE`).
SAME = 1e-4


@dataclass(frozen=True)
class Finished:
    """What is handed over, what it is predicted to cost, and the plan that says why."""

    model: GraphModel
    cost: Prediction
    spent: Costs
    plan: Plan


@dataclass(frozen=True)
class _Candidate:
    name: str
    model: GraphModel
    cost: Prediction
    spent: Costs
    loss: float
    choices: Mapping[str, Precision]
    how: str = ""


def finished(
    search: Search,
    found: Found,
    trained: GraphModel,
    baseline: GraphModel,
    plan: Plan,
    epochs: int,
    measure: Measure | None,
) -> Finished | None:
    """The best of the finalists for `found`, whose widths `trained` has; None where all are slower than `baseline`.

    `plan.limits` are those that were asked for, `search.limits` those that predictions keep to. Raises TaskError.
    """
    forms = known_forms(search, trained, plain_costs(search, trained))
    sweep = Sweep(forms, measured_losses(search, trained, forms, "sensitivity-of-trained"), search.limits)
    front = sweep.front() if len(forms.uniform) > 1 else ()
    candidates = _candidates(search, found, trained, plan, sweep, front, epochs)
    runs = [] if measure is None else list(measure([baseline, *(each.model for each in candidates)]))
    chosen = _measured(candidates, plan, runs) if runs else _predicted(candidates, plan)
    if chosen is None:
        return None
    times: Sequence[float | None] = runs[1:] if runs else [None] * len(candidates)
    finalists = tuple(
        Finalist(each.name, each.cost.latency_ms, each.loss, ms, each is chosen)
        for each, ms in zip(candidates, times, strict=True)
    )
    note = plan.note
    if runs:
        share = runs[1 + candidates.index(chosen)] / runs[0]
        note = f"measured {share:.1%} of the latency of the model that went in ({quantity(LATENCY, runs[0])})"
    points = tuple(FrontPoint(_counts(p.choices, len(forms.options)), p.costs[LATENCY], p.loss) for p in front)
    plan = replace(
        plan,
        after=chosen.spent,
        precisions=tuple(sweep.explained(chosen.choices)),
        front=points,
        finalists=finalists,
        with_more=found.with_more,
        recovery=chosen.how,
        note=note,
        floats=_without_integers(trained) if len(forms.uniform) > 1 else {},
    )
    return Finished(chosen.model, chosen.cost, chosen.spent, plan)


def _candidates(
    search: Search,
    found: Found,
    trained: GraphModel,
    plan: Plan,
    sweep: Sweep,
    front: Sequence[Point],
    epochs: int,
) -> list[_Candidate]:
    """The model in each of the finalists' precisions, and in float32 if that is within the limits or all there is."""
    candidates = []
    points = sweep.finalists(front, found.choices) if found.choices else ()
    for number, point in enumerate(points):
        if not point.choices:
            continue
        recovery = Recovery(
            max(1, round(TUNING * epochs)),
            _SLOWER_RATE * search.lr,
            search.seed,
            search.checkpoint(f"tuning-{number}"),
            search.tell("tuning quantised", max(1, round(TUNING * epochs)), dict),
        )
        made = quantised(trained, search.task, point.choices, recovery)
        cost, spent = predicted(made.model, search.source)
        name = "as searched" if point.choices == found.choices else f"front, {quantity(LATENCY, point.costs[LATENCY])}"
        candidates.append(_Candidate(name, made.model, cost, spent, made.loss, point.choices, made.how))
    cost, spent = predicted(trained, search.source)
    if within(spent, plan.limits) or not candidates:
        candidates.append(_Candidate("float32", trained, cost, spent, training_loss(search.task, trained), {}))
    return candidates


def _predicted(candidates: Sequence[_Candidate], plan: Plan) -> _Candidate:
    fitting = [each for each in candidates if within(each.spent, plan.limits)]
    return _best([(each, each.cost.latency_ms) for each in fitting or candidates])


def _best(timed: Sequence[tuple[_Candidate, float]]) -> _Candidate:
    """The fastest of those whose loss is as good as the least."""
    least = min(each.loss for each, _ in timed)
    as_good = least + max(TOLERANCE * abs(least), SAME)
    return min(((each, ms) for each, ms in timed if each.loss <= as_good), key=lambda pair: pair[1])[0]


def _measured(candidates: Sequence[_Candidate], plan: Plan, runs: Sequence[float]) -> _Candidate | None:
    """By `runs`, those of the model that went in and of each candidate; None where all are slower than that."""
    whole = runs[0]
    limit = asked_latency(plan, whole)
    able = [(each, ms) for each, ms in zip(candidates, runs[1:], strict=True) if ms <= whole]
    others = but_latency(plan.limits)
    fitting = [(each, ms) for each, ms in able if ms <= limit and within(each.spent, others)]
    if fitting:
        return _best(fitting)
    return min(able, key=lambda pair: pair[1])[0] if able else None


def _without_integers(model: GraphModel) -> dict[str, str]:
    """By path, why a layer has no integer form."""
    plain = folded(model.graph)
    paths = {node.name: node.path or node.name for node in plain.nodes}
    wanted: dict[str, Precision] = {node.name: "int8" for node in layers(plain)}
    return {paths[name]: reason for name, reason in settled(plain, wanted).kept.items()}


def asked_latency(plan: Plan, whole: float) -> float:
    """Milliseconds of the clock by which the model that went in takes `whole`; infinite where there is no limit."""
    limit = plan.limits.get(LATENCY, math.inf)
    return limit * whole / plan.before.latency if plan.budget.get(LATENCY, "").strip().endswith("%") else limit


def but_latency(limits: Mapping[str, float]) -> dict[str, float]:
    """The other limits."""
    return {name: limit for name, limit in limits.items() if name != LATENCY}


def _counts(choices: Mapping[str, Precision], layers: int) -> dict[str, int]:
    counts: dict[str, int] = {"float32": layers - len(choices)}
    for precision in choices.values():
        counts[precision] = counts.get(precision, 0) + 1
    return counts
