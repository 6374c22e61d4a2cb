"""MorphNet on measured costs: rounds of shrinking under the regulariser and expansion to the budget.

Gordon et al. 2018, arXiv:1711.06798, Algorithm 1. Where the paper asks for a λ by hand, the strength follows from the
budget (`shrink`); where it rounds layers one by one, widths are whole by group (`expand`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict

from hwaware.compression.channel_values import channel_values
from hwaware.compression.cut import Cut, Pruner, cut
from hwaware.compression.explain import explained_groups, explained_layers
from hwaware.compression.gauged import gauged
from hwaware.compression.prepare import Prepared
from hwaware.compression.search import Found, Search
from hwaware.compression.shrink import Shrinker
from hwaware.compression.train import fit
from hwaware.errors import ModelError
from hwaware.graph.model import GraphModel

# What later rounds shrink to, as a share of the limits, before they expand again.
AGAIN = 0.8

# aim(cost of the whole model, its limit): what to shrink to.
Aim = Callable[[float, float], float]

# begin(search, prepared, model, limits, steps): what trains along, made for one round.
Begin = Callable[[Search, Prepared, GraphModel, Mapping[str, float], int | None], Pruner]


def morphnet(search: Search, model: GraphModel) -> Found:
    """`model` shrunk and expanded; trained weights of what stayed, none of it fine-tuned."""
    return rounds(search, model, _begin, _half_way)


def _begin(
    search: Search, prepared: Prepared, model: GraphModel, limits: Mapping[str, float], steps: int | None
) -> Shrinker:
    values = channel_values(search.options.selection.values, model, prepared.groups)
    return Shrinker(values, prepared.costs, limits, steps, search.options.regulariser)


def _half_way(whole: float, limit: float) -> float:
    return max(limit, math.sqrt(whole * limit))


def all_the_way(whole: float, limit: float) -> float:
    """To the limit."""
    return limit


def rounds(search: Search, model: GraphModel, begin: Begin, aim: Aim = all_the_way) -> Found:
    """All rounds, each of which prunes the model of the one before with what `begin` gives.

    `aim(whole, limit)` is how far, for a cost that is limited, where no overshoot was asked for.
    """
    first = prepared = search.prepare(model)
    full = dict(first.costs.full)
    widths = dict(full)
    origins: dict[str, list[int | None]] = {name: list(range(size)) for name, size in full.items()}
    names = {name: name for name in full}
    for number in range(search.options.rounds):
        if number:
            again = _again(search, first, model, widths)
            if again is None:
                break
            prepared, names = again
        pruner, done = _round(search, prepared, model, begin, aim, number)
        for name, found in done.origins.items():
            origins[names[name]] = [None if at is None else origins[names[name]][at] for at in found]
            widths[names[name]] = done.widths[name]
        model = GraphModel(done.graph, model.example_inputs)
    kept = {name: [at for at in found if at is not None] for name, found in origins.items()}
    return Found(
        model.eval(),
        explained_groups(pruner.costs, full, widths, kept, done.widths, names),
        explained_layers(first, pruner.costs, done.widths),
        done.omega,
        pruner.strength,
        tuple(asdict(tick) for tick in pruner.history),
    )


def _round(
    search: Search, prepared: Prepared, model: GraphModel, begin: Begin, aim: Aim, number: int
) -> tuple[Pruner, Cut]:
    count, overshoot = search.options.rounds, search.options.overshoot
    epochs = max(1, (number + 1) * search.epochs // count - number * search.epochs // count)
    target = {}
    for name, limit in search.limits.items():
        if overshoot is None:
            whole = prepared.costs.cost(name, prepared.costs.full)
            wanted = limit * AGAIN if number else aim(whole, limit)
        else:
            wanted = limit * overshoot
        floor = prepared.costs.cost(name, prepared.costs.least())
        target[name] = max(wanted, min(limit, floor))
    training = GraphModel(prepared.graph, model.example_inputs)
    pruner = begin(search, prepared, training, target, search.steps(epochs))

    def now() -> dict[str, float]:
        costs = pruner.costs
        widths = costs.nearest(pruner.widths())
        return {name: costs.cost(name, widths) for name in search.limits} | {"channels": sum(widths.values())}

    phase = "shrink" if count == 1 else f"shrink {number + 1}"
    fit(
        pruner.channels.trained,
        search.task,
        epochs=epochs,
        lr=search.lr,
        extra_loss=pruner.extra_loss,
        after_step=pruner.after_step,
        on_epoch=search.tell(phase, epochs, now),
        seed=search.seed + 2 * number,
        checkpoint=search.checkpoint(phase.replace(" ", "-")),
        keep=(pruner,),
        precision=search.options.precision,
    )

    def cut_at(limits: Mapping[str, float]) -> Cut:
        return cut(prepared, training.graph, pruner, limits, seed=search.seed + number)

    last = number == count - 1
    return pruner, gauged(search, cut_at, model) if last else cut_at(search.limits)


def _again(
    search: Search, first: Prepared, model: GraphModel, widths: Mapping[str, int]
) -> tuple[Prepared, dict[str, str]] | None:
    """The model of a round made ready for the next, and what its groups were called in the first round.

    A group is renamed when the layer it was named after has vanished. None where nothing is left to shrink, and where
    what vanished has taken groups apart: their channels could not be told any more.
    """
    try:
        now = search.prepare(model, first.costs.full)
    except ModelError:
        return None
    makers = {node: group.name for group in first.groups for node in group.producers}
    names = {}
    for group in now.groups:
        known = {makers[node] for node in group.producers if node in makers}
        if len(known) != 1:
            return None
        names[group.name] = known.pop()
        if widths[names[group.name]] != group.size:
            return None
    return (now, names) if len(set(names.values())) == len(names) else None
