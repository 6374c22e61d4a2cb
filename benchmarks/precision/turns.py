"""Samples taken in turn: every side in each round, each round beginning with the next of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# sample(seconds, least): milliseconds of each call, for so long and so many at least.
Sample = Callable[[float, int], list[float]]
# Of a small model a round gives thousands of samples; the bootstrap needs no more than these, evenly spread.
SAMPLES_A_ROUND = 300
LEAST = 5


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    rounds: int
    seconds: float  # of each side in each round


def in_turn(sides: Mapping[str, Sample], effort: Effort) -> dict[str, list[float]]:
    """The samples of each side, in the order in which they were taken."""
    names = list(sides)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(effort.rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            taken = sides[name](effort.seconds, LEAST)
            samples[name] += taken[:: max(1, len(taken) // SAMPLES_A_ROUND)]
    return samples
