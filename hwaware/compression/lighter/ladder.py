"""The most that can be asked of a method that must be trained to know what it loses."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hwaware.errors import BudgetError
from hwaware.graph.ir import Graph

T = TypeVar("T")
_FIRST, _MOST, _TRIES = 2.0, 512.0, 6


def most_times(made: Callable[[float], T], good: Callable[[T], bool], graph: Graph) -> tuple[float, T]:
    """The largest number of times fewer parameters found for which `made` of it is `good`, and that.

    Doubles until it is not, then halves the rest of the way (as a ratio), `_TRIES` trials in all. Raises BudgetError
    where the first is not good.
    """
    whole = sum(graph.tensors[name].numel() for name in graph.parameters)
    most = min(_MOST, max(_FIRST, whole / 64))
    times, best = _FIRST, made(_FIRST)
    if not good(best):
        raise BudgetError(f"{_FIRST:g} times fewer parameters already lose more: allow a larger loss, or more epochs")
    bad: float | None = None
    for _ in range(_TRIES - 1):
        wanted = min(4 * times, most) if bad is None else (times * bad) ** 0.5
        if wanted <= times:
            break
        found = made(wanted)
        if good(found):
            times, best = wanted, found
        else:
            bad = wanted
    return times, best
