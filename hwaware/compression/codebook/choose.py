"""d and k of every layer for a size or an accuracy: a knapsack of measured errors.

The errors of the layers' outputs, each relative to the output, are added up: what reaches the end of the network is
not known layer by layer, and tuning comes after. One choice a layer, the least sum within the bytes (Kellerer,
Pferschy, Pisinger 2004, Knapsack Problems, section 11.5: dynamic programming by dominance).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hwaware.compression.codebook.candidates import Candidate
from hwaware.compression.codebook.coded import Form
from hwaware.compression.codebook.student import with_layers
from hwaware.errors import BudgetError
from hwaware.graph.ir import Graph

_STATES = 20_000  # kept a layer; beyond that, sums as close to each other as 1 in 20,000 count as one
Chosen = dict[str, Candidate]


def for_bytes(options: Mapping[str, Sequence[Candidate]], budget: float) -> Chosen:
    """The candidate of each layer with the least sum of errors within `budget` bytes for all of `options`.

    Exact while the sums that nothing beats are fewer than 20,000. Raises BudgetError, naming the least, for a budget
    below that.
    """
    least = sum(min(c.bytes for c in listed) for listed in options.values())
    if budget < least:
        raise BudgetError(f"coded layers of {budget:.0f} bytes cannot be had; the least is {least:.0f}")
    size, error = np.zeros(1), np.zeros(1)
    trail: list[tuple[NDArray[np.intp], NDArray[np.intp]]] = []
    # What the layers that come later need at least.
    reserved = least
    for listed in options.values():
        reserved -= min(c.bytes for c in listed)
        sizes = np.add.outer(size, [c.bytes for c in listed])
        errors = np.add.outer(error, [c.error for c in listed])
        kept = _unbeaten(sizes.ravel(), errors.ravel(), budget - reserved)
        before, choice = np.unravel_index(kept, sizes.shape)
        trail.append((before, choice))
        size, error = sizes.ravel()[kept], errors.ravel()[kept]
    state = int(error.argmin())
    chosen: Chosen = {}
    for (name, listed), (before, choice) in zip(reversed(list(options.items())), reversed(trail), strict=True):
        chosen[name] = listed[int(choice[state])]
        state = int(before[state])
    return {name: chosen[name] for name in options}


def for_accuracy(
    graph: Graph,
    options: Mapping[str, Sequence[Candidate]],
    metric: Callable[[Graph], float],
    least: float,
    *,
    trials: int = 8,
) -> Chosen:
    """The smallest choice found whose `metric`, coded but not tuned, is at least `least`; higher is better.

    Bisects the bytes, in `trials` evaluations, each after `for_bytes`; tuning then adds to the accuracy. Raises
    BudgetError where the dense graph does not reach `least` itself.
    """
    reached = metric(graph)
    if reached < least:
        raise BudgetError(f"the model reaches {reached:g} before it is coded, less than the {least:g} asked for")
    low = sum(min(c.bytes for c in listed) for listed in options.values())
    high = sum(max(c.bytes for c in listed) for listed in options.values())
    best = for_bytes(options, high)
    for trial in range(trials):
        # By ratios: a factor matters as much for the small as for the large. The smallest is asked for first.
        budget = low if trial == 0 else float(np.sqrt(low * high))
        found = for_bytes(options, budget)
        if metric(coded_with(graph, found)) >= least:
            best, high = found, budget
            if trial == 0:
                break
        else:
            low = budget
    return best


def coded_with(graph: Graph, chosen: Mapping[str, Candidate]) -> Graph:
    """`graph` with the weights of the chosen candidates, for inference."""
    layers = [candidate.layer for candidate in chosen.values() if candidate.layer is not None]
    return with_layers(graph, layers)


def forms_of(chosen: Mapping[str, Candidate]) -> dict[str, Form]:
    """d and k of the layers that are coded, as `coded_network` takes them."""
    return {name: candidate.form for name, candidate in chosen.items() if candidate.form is not None}


def _unbeaten(sizes: NDArray[np.float64], errors: NDArray[np.float64], most: float) -> NDArray[np.intp]:
    """Indices of sums within `most` bytes that have less error than all smaller ones."""
    order = np.lexsort((errors, sizes))
    order = order[sizes[order] <= most * (1 + 1e-12)]
    best = np.minimum.accumulate(errors[order])
    kept = order[np.r_[True, best[1:] < best[:-1]]]
    if len(kept) > _STATES:
        kept = kept[np.unique(np.linspace(0, len(kept) - 1, _STATES).astype(np.intp))]
    return kept
