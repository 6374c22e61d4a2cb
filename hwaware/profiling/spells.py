"""Runs of one model taken in turn with others: which of them a slow spell of the machine has touched.

Somebody else on the machine, on the other half of a core or on the memory it shares, only ever makes a run slower, and
nothing that the machine reports of itself need show it. So a model is run until several runs agree with its fastest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Run = TypeVar("Run")

# A run that came out this much slower than the best was disturbed; so many that were not are enough.
SLOW, ENOUGH = 1.04, 3


def undisturbed(runs: Sequence[Run], median: Callable[[Run], float]) -> list[Run]:
    """The `runs` whose `median` is near that of the fastest."""
    medians = [median(run) for run in runs]
    best = min(medians, default=0.0)
    return [run for run, value in zip(runs, medians, strict=True) if value <= SLOW * best]


def wanting(runs: Sequence[Run], median: Callable[[Run], float], planned: int) -> bool:
    """Whether there should be another one: fewer than `planned`, or too few that were not disturbed."""
    return len(runs) < planned or len(undisturbed(runs, median)) < min(planned, ENOUGH)
