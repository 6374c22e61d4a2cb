"""Budgets that are met on the device: expansion is repeated by what measuring says of the table's predictions.

A table's prediction of a whole model is off by a few percent, and by how much depends on the structure. What a
structure takes does not depend on its weights, so that it is known before they are trained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from hwaware.compression.checkpoint import Checkpoint, Snapshot
from hwaware.compression.cut import Cut
from hwaware.compression.distributed import joined
from hwaware.compression.meters import LATENCY
from hwaware.compression.search import Search
from hwaware.graph.model import GraphModel

ATTEMPTS = 4
# Latencies of so much less than what was asked for are near enough: measuring is no more exact.
NEAR = 0.02
# Tables are seldom off by more (as a logarithm): then it is the measurement that is doubted.
FAR = 0.1
_SHORT = 0.005  # of what was asked for is aimed at again, so that noise does not end above it


def gauged(search: Search, cut_at: Callable[[Mapping[str, float]], Cut], like: GraphModel) -> Cut:
    """What `cut_at(limits)` makes for the limits with which it takes on the device what was asked for, and no more.

    `like` has the inputs of the model. Without a gauge these are the limits of the search. Where no attempt is within
    what was asked for, the fastest counts. With checkpoints the device is asked once.
    """
    if search.gauge is None or LATENCY not in search.limits:
        return cut_at(search.limits)
    gauge, checkpoint = search.gauge, search.checkpoint("gauge")

    def share_at(aim: float) -> float:
        made = cut_at({**search.limits, LATENCY: aim})
        model = GraphModel(made.graph, like.example_inputs).eval()
        share = trusted(lambda: gauge(model), aim / search.limits[LATENCY])
        search.report("measuring", 0, 0, f"{share:.1%} of the latency asked for")
        return share

    with joined() as processes:
        aim = torch.zeros(1, dtype=torch.float64)
        if processes.main:
            aim[0] = _kept(checkpoint) or closest(search.limits[LATENCY], share_at)
            if checkpoint is not None:
                checkpoint.save({}, Snapshot(1, 1, [float(aim)], {}))
        processes.copy_main([aim])
    return cut_at({**search.limits, LATENCY: float(aim)})


def trusted(measure: Callable[[], float], predicted: float) -> float:
    """What `measure` gives; where that is further from `predicted` than tables are off, the median of three."""
    share = measure()
    if abs(math.log(share / predicted)) <= FAR:
        return share
    return sorted((share, measure(), measure()))[1]


def closest(first: float, share_at: Callable[[float], float]) -> float:
    """Of a few limits, from `first` on, the one whose share of what was asked for is nearest below 1, or the least.

    As long as all shares are on one side, a limit is corrected by what it was missed by; then those between are tried.
    """
    below: tuple[float, float] | None = None  # share, limit
    above: tuple[float, float] | None = None
    aim = first
    for _ in range(ATTEMPTS):
        share = share_at(aim)
        if share <= 1:
            below = max(below or (share, aim), (share, aim))
        else:
            above = min(above or (share, aim), (share, aim))
        if 1 - NEAR <= share <= 1:
            break
        aim = _between(below, above) if below and above else aim * (1 - _SHORT) / share
    found = below or above
    assert found is not None
    return found[1]


def _between(below: tuple[float, float], above: tuple[float, float]) -> float:
    """Where a power law through both (share, limit) has just what was asked for."""
    (low, first), (high, last) = below, above
    along = math.log((1 - _SHORT) / low) / math.log(high / low)
    return first * (last / first) ** max(0.0, along)


def _kept(checkpoint: Checkpoint | None) -> float | None:
    """The limit that was found before an interruption. Raises ArtifactError for a damaged file."""
    snapshot = None if checkpoint is None else checkpoint.load({})
    if checkpoint is None or snapshot is None:
        return None
    match snapshot.states:
        case [float(aim)] if 0 < aim < float("inf"):
            return aim
    raise checkpoint.corrupt("it holds no limit")
