"""One target instead of gains: a share of the weights to remove, or the most of the metric that may be lost."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hwaware.compression.nettrim.layer import PLAIN, Mode, Solving
from hwaware.compression.nettrim.network import INFLATION, Inputs, Trim, trim_graph
from hwaware.compression.task import Task, evaluate
from hwaware.errors import BudgetError
from hwaware.graph.ir import Graph
from hwaware.graph.model import GraphModel

_LEAST, _MOST = 0.005, 0.9


@dataclass(frozen=True)
class Reached:
    """The gain of all layers that was found, and the network trimmed with it."""

    gain: float
    trim: Trim


def for_share(
    graph: Graph,
    batches: Inputs,
    share: float,
    *,
    mode: Mode = "parallel",
    inflation: float = INFLATION,
    solving: Solving = PLAIN,
    tries: int = 6,
) -> Reached:
    """The least gain found in `tries` trims that removes at least `share` of the weights.

    Raises BudgetError, naming the most that can be removed, and what `trim_graph` raises.
    """
    if not 0 < share < 1:
        raise BudgetError(f"the share of weights to remove must lie between 0 and 1, not {share}")

    made = partial(trim_graph, graph, batches, mode=mode, inflation=inflation, solving=solving)
    most = made(_MOST)
    if most.removed < share:
        raise BudgetError(f"Net-Trim removes at most {most.removed:.1%} of the weights here; ask for no more")
    return _bisected(made, lambda trim: trim.removed >= share, Reached(_MOST, most), _LEAST, tries - 1)


def for_loss(
    graph: Graph,
    task: Task,
    batches: Inputs,
    most_lost: float,
    *,
    mode: Mode = "parallel",
    inflation: float = INFLATION,
    solving: Solving = PLAIN,
    tries: int = 6,
) -> Reached:
    """The largest gain found in `tries` trims that loses at most `most_lost` of the task's metric, before finetuning.

    Raises BudgetError where even the least gain loses more, and what `trim_graph` and `evaluate` raise.
    """
    least_metric = evaluate(task, GraphModel(graph, task.example_inputs)) - most_lost

    made = partial(trim_graph, graph, batches, mode=mode, inflation=inflation, solving=solving)

    def good(trim: Trim) -> bool:
        return evaluate(task, GraphModel(trim.graph, task.example_inputs)) >= least_metric

    least = made(_LEAST)
    if not good(least):
        raise BudgetError(f"Net-Trim loses more than {most_lost:g} at its least gain, {_LEAST}; give more data")
    return _bisected(made, good, Reached(_LEAST, least), _MOST, tries - 1)


def _bisected(
    made: Callable[[float], Trim], good: Callable[[Trim], bool], best: Reached, other: float, tries: int
) -> Reached:
    """Between the good gain of `best` and `other`, halved in ratio, the good one nearest to `other`."""
    for _ in range(tries):
        gain = math.sqrt(best.gain * other)
        trim = made(gain)
        if good(trim):
            best = Reached(gain, trim)
        else:
            other = gain
    return best
