"""From shrunk training to a smaller model: final widths and physical slicing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hwaware.compression.channel_values import ChannelValues
from hwaware.compression.expand import expand, fill
from hwaware.compression.prepare import Prepared
from hwaware.compression.shrink import Tick
from hwaware.compression.ties import untied
from hwaware.compression.width_costs import WidthCosts
from hwaware.graph.ir import Graph
from hwaware.graph.slicing import slice_graph
from hwaware.graph.widening import widen_graph


class Pruner(Protocol):
    """What training under a method leaves behind."""

    channels: ChannelValues
    alive: dict[str, Tensor]
    strength: float
    history: list[Tick]

    @property
    def costs(self) -> WidthCosts:
        """What widths cost with what the method has decided beside them."""

    def extra_loss(self, model: nn.Module) -> Tensor:
        """What training adds to its loss."""

    def after_step(self, model: nn.Module) -> None:
        """Called behind every optimiser step."""

    def widths(self) -> dict[str, int]:
        """How many channels of every group are alive."""

    def state(self) -> dict[str, Any]:
        """All that a phase which goes on later needs, beside the module's own tensors."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""

    def finish(self, limits: Mapping[str, float] | None = None) -> dict[str, int]:
        """The widths that are left; they meet what was aimed at, or `limits`."""

    def importance(self) -> dict[str, Tensor]:
        """A number for every channel of every group: survivors above the dead."""


@dataclass(frozen=True)
class Cut:
    """A smaller (or wider) graph, its widths and what became of each group's channels.

    `kept` are those that stayed, `origins` for every channel now the one it was, None for a new one.
    """

    graph: Graph
    widths: dict[str, int]
    kept: dict[str, list[int]]
    origins: dict[str, list[int | None]]
    omega: float


def cut(prepared: Prepared, trained: Graph, pruner: Pruner, limits: Mapping[str, float], *, seed: int) -> Cut:
    """The graph `trained`, with the shapes of `prepared`, at the widest widths within the limits.

    Channels that died and are wanted after all start as they were before the phase. `seed` is that of new ones.
    """
    survivors = pruner.finish()
    costs = pruner.costs
    omega, widths = expand(costs, survivors, limits)
    if not costs.meets(widths, limits):
        # Groups must vanish that training would have kept.
        survivors = pruner.finish(limits)
        costs = pruner.costs
        omega, widths = expand(costs, survivors if costs.meets(survivors, limits) else costs.least(), limits)
    importance = pruner.importance()
    ranked = {name: torch.sort(values, descending=True).values.tolist() for name, values in importance.items()}
    widths = fill(costs, widths, limits, ranked)
    best = {
        name: torch.argsort(values, descending=True, stable=True)[: widths[name]].tolist()
        for name, values in importance.items()
    }
    dead = {name: [index for index in indices if not pruner.alive[name][index]] for name, indices in best.items()}
    graph = pruner.channels.revived(pruner.channels.finished(trained), prepared.graph, dead)
    kept = {name: sorted(indices) for name, indices in best.items()}
    if any(widths[name] > size for name, size in costs.full.items()):
        graph = widen_graph(graph, untied(prepared.groups, widths), seed=seed, keep=untied(prepared.groups, best))
    else:
        graph = slice_graph(graph, untied(prepared.groups, kept))
    return Cut(graph, widths, kept, {name: _origins(best[name], widths[name]) for name in best}, omega)


def _origins(best: Sequence[int], width: int) -> list[int | None]:
    """New channels stand behind those they are modelled on, the best first, as `widen_graph` puts them."""
    copies = dict.fromkeys(best, 1)
    for extra in range(width - len(best)):
        copies[best[extra % len(best)]] += 1
    found: list[int | None] = []
    for index in sorted(best):
        found += [index, *[None] * (copies[index] - 1)]
    return found
