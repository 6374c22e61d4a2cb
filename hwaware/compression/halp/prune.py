"""HALP's rounds: train, weigh every channel, keep what the knapsack chooses for a limit that falls to the budget.

Shen et al. 2022 (arXiv:2110.10811), section 3.3: limits fall exponentially, so that early rounds, whose saliencies
count least, take away what is worth least.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from hwaware.compression.channel_values import ChannelValues, channel_values
from hwaware.compression.halp.knapsack import Knapsack
from hwaware.compression.halp.saliency import TaylorSaliency
from hwaware.compression.morphnet import rounds
from hwaware.compression.outline import Widths
from hwaware.compression.prepare import Prepared
from hwaware.compression.search import Found, Search
from hwaware.compression.shrink import SHRINKING, UNKNOWN_STEPS, Tick
from hwaware.compression.width_costs import WidthCosts
from hwaware.graph.model import GraphModel

ROUNDS = 10


def halp(search: Search, model: GraphModel) -> Found:
    """`model` pruned to the limits of `search`; trained weights of what stayed, none of it fine-tuned."""
    return rounds(search, model, _begin)


def _begin(
    search: Search, prepared: Prepared, model: GraphModel, limits: Mapping[str, float], steps: int | None
) -> HalpPruner:
    channels = channel_values(search.options.selection.values, model, prepared.groups)
    return HalpPruner(channels, Knapsack(prepared.costs), limits, TaylorSaliency(model, prepared.groups), steps)


class WidthSolver(Protocol):
    """Which channels to keep."""

    @property
    def costs(self) -> WidthCosts:
        """What widths cost, as it was last decided."""

    def solve(
        self, saliency: Mapping[str, Sequence[float]], limits: Mapping[str, float], most: Widths
    ) -> dict[str, int]:
        """The widths, at most `most`, that keep the most saliency within `limits`.

        `saliency` lists for each group that of its channels, the highest first.
        """

    def latency(self, widths: Widths) -> float:
        """Milliseconds at `widths`, as it was last decided."""

    def state(self) -> dict[str, Any]:
        """What is needed to go on later."""

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""


@dataclass
class HalpPruner:
    """Hands `extra_loss` (none) and `after_step` to training; see `cut.Pruner`. What was pruned stays at 0."""

    channels: ChannelValues
    solver: WidthSolver
    limits: Mapping[str, float]
    saliency: TaylorSaliency
    steps: int | None = None
    strength: float = 0.0
    history: list[Tick] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizes = self.costs.full
        self.alive = {name: torch.ones(size, dtype=torch.bool) for name, size in sizes.items()}
        self._died = {name: torch.zeros(size, dtype=torch.int64) for name, size in sizes.items()}
        self._last = {name: torch.ones(size) for name, size in sizes.items()}
        self._whole = {name: self.costs.cost(name, sizes) for name in self.limits}
        self.step = 0
        self._interval = max(1, round(SHRINKING * (self.steps or UNKNOWN_STEPS) / ROUNDS))

    @property
    def costs(self) -> WidthCosts:
        """What widths cost."""
        return self.solver.costs

    def extra_loss(self, model: nn.Module) -> Tensor:
        """Nothing: the task alone says what a channel is worth."""
        return next(model.parameters()).new_zeros(())

    def after_step(self, model: nn.Module) -> None:
        """Weigh channels by this step's gradients; now and then prune."""
        self.step += 1
        with torch.no_grad():
            if len(self.history) < ROUNDS:
                self.saliency.gather()
                if self.step % self._interval == 0:
                    self._prune((len(self.history) + 1) / ROUNDS)
            self.channels.hold(self.alive)

    def widths(self) -> dict[str, int]:
        """How many channels of every group are alive."""
        return {name: int(alive.sum()) for name, alive in self.alive.items()}

    def finish(self, limits: Mapping[str, float] | None = None) -> dict[str, int]:
        """Prune to the limits, if a phase was too short for all rounds; the widths that are left."""
        self.limits = self.limits if limits is None else limits
        if len(self.history) < ROUNDS:
            self._prune(1.0)
        with torch.no_grad():
            self.channels.hold(self.alive)
        return self.widths()

    def importance(self) -> dict[str, Tensor]:
        """Survivors by their last saliency, and below them the dead by how late they died."""
        values = {}
        for name, alive in self.alive.items():
            last = self._last[name]
            late = self._died[name].float() / (ROUNDS + 1)
            values[name] = torch.where(alive, 1 + last / (last.max() + 1e-30), 0.01 * late)
        return values

    def state(self) -> dict[str, Any]:
        """See `cut.Pruner`."""
        return {
            "step": self.step,
            "history": [asdict(tick) for tick in self.history],
            "alive": dict(self.alive),
            "died": dict(self._died),
            "last": dict(self._last),
            "saliency": self.saliency.values(),
            "batches": self.saliency.batches,
            "solver": self.solver.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.step = state["step"]
        self.history[:] = [Tick(**tick) for tick in state["history"]]
        self.alive = {name: state["alive"][name].bool() for name in self.alive}
        self._died = {name: state["died"][name] for name in self._died}
        self._last = {name: state["last"][name] for name in self._last}
        self.saliency.load(state["saliency"], state["batches"])
        self.solver.restore(state["solver"])

    def _prune(self, along: float) -> None:
        """Down to the limits that are `along` the way from the whole cost to the budget."""
        limits = {
            name: min(whole, max(limit, whole * (limit / whole) ** along))
            for name, limit in self.limits.items()
            if (whole := self._whole[name]) > 0
        }
        if self.saliency.batches:
            self._last = self.saliency.values()
        worth = {name: torch.where(self.alive[name], value, -1.0) for name, value in self._last.items()}
        ranked = {name: torch.argsort(value, descending=True, stable=True) for name, value in worth.items()}
        widths = self.solver.solve(
            {name: worth[name][order].clamp_min(0).tolist() for name, order in ranked.items()},
            limits,
            self.widths(),
        )
        for name, order in ranked.items():
            gone = order[widths[name] :]
            dying = gone[self.alive[name][gone]]
            self.alive[name][dying] = False
            self._died[name][dying] = len(self.history) + 1
        self.saliency.forget()
        latency = self.solver.latency(widths)
        self.history.append(Tick(self.step, 0.0, 0.0, latency, sum(widths.values())))
