"""The shrinking phase: training on L + λ·G, where λ follows from the budget.

Nobody can tune λ: what it does depends on the loss, the learning rate and the units of the cost. What is known is
where to go. If channels die in the order of r/D, some channel is the last that must go for the budget to be met; its
r/D is the distance left. Every few steps λ is raised where the distance falls too slowly to be 0 after most of the
phase, and lowered where it falls more than twice as fast as that. Once the budget is met λ is 0 and what is left of
the phase trains the survivors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from hwaware.compression.channel_values import ChannelValues
from hwaware.compression.regulariser import BY_LIMITS, Regulariser, penalty
from hwaware.compression.width_costs import WidthCosts

START = 0.02  # first strength: gradient of the regulariser on an average channel's value
FASTER, SLOWER = 1.5, 0.75
TICKS = 48  # adjustments of λ in a phase
SHRINKING = 0.6  # share of the phase in which the budget is to be met
# For a training loop of the user's own, whose length nobody knows beforehand.
UNKNOWN_STEPS = 600


@dataclass(frozen=True)
class Tick:
    """One adjustment: the state of the phase after `step` optimiser steps."""

    step: int
    strength: float  # λ times the mean worth of a channel
    distance: float  # r/D, relative to the mean D, of the last channel that must still go; 0: budget met
    latency_ms: float
    alive: int


@dataclass
class Shrinker:
    """Hands `extra_loss` and `after_step` to the training of the module whose channels `channels` are.

    `costs` and `channels` have the same groups. Dead channels stay dead, and are held at 0.
    """

    channels: ChannelValues
    costs: WidthCosts
    limits: Mapping[str, float]
    steps: int | None = None
    regulariser: Regulariser = BY_LIMITS
    history: list[Tick] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizes = self.costs.full
        self.alive = {name: torch.ones(size, dtype=torch.bool) for name, size in sizes.items()}
        self.died = {name: torch.zeros(size, dtype=torch.int64) for name, size in sizes.items()}
        self.step = 0
        self._phase = self.steps or UNKNOWN_STEPS
        self._tick = max(1, self._phase // TICKS)
        self.strength = START
        self._slopes = self._worth()
        self._pace, self._before = 0.0, self.distance()

    def extra_loss(self, model: nn.Module) -> Tensor:
        """λ·G for the training loop to add to its loss."""
        return self.strength * penalty(self.channels.values(), self._slopes)

    def after_step(self, model: nn.Module) -> None:
        """Bury channels whose values reached 0 and now and then adjust λ; call it behind every optimiser step."""
        self.step += 1
        before = self.strength
        with torch.no_grad():
            if self._bury():
                self._slopes = self._worth()
            self.channels.hold(self.alive)
        if before > 0 and (self.step % self._tick == 0 or self.strength == 0):
            self._adjust()

    def widths(self) -> dict[str, int]:
        """How many channels of every group are alive."""
        return {name: int(alive.sum()) for name, alive in self.alive.items()}

    def distance(self) -> float:
        """r/D of the last channel that must go for the budget to be met; 0 where it is met."""
        order = self._order()
        count = self._must_go(order)
        return order[count - 1][0] if count else 0.0

    def finish(self, limits: Mapping[str, float] | None = None) -> dict[str, int]:
        """Bury what must still go, in the order of r/D; the widths left meet what was aimed at, or `limits`."""
        self.limits = self.limits if limits is None else limits
        self._slopes = self._worth()
        order = self._order()
        for _, name, number in order[: self._must_go(order)]:
            self.alive[name][number] = False
            self.died[name][number] = self.step + 1
        with torch.no_grad():
            self.channels.hold(self.alive)
        return self.costs.nearest(self.widths())

    def importance(self) -> dict[str, Tensor]:
        """A number for every channel: survivors by r, and below them the dead by how late they died."""
        values = {}
        for name, r in self._values().items():
            late = self.died[name].float() / (self.step + 2)
            values[name] = torch.where(self.alive[name], 1 + r / (r.max() + 1e-12), 0.01 * late)
        return values

    def state(self) -> dict[str, Any]:
        """All that a phase which goes on later needs, beside the module's own tensors."""
        return {
            "step": self.step,
            "strength": self.strength,
            "pace": self._pace,
            "before": self._before,
            "history": [asdict(tick) for tick in self.history],
            "alive": dict(self.alive),
            "died": dict(self.died),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.step, self.strength = state["step"], state["strength"]
        self._pace, self._before = state["pace"], state["before"]
        self.history[:] = [Tick(**tick) for tick in state["history"]]
        self.alive = {name: state["alive"][name].bool() for name in self.alive}
        self.died = {name: state["died"][name] for name in self.died}
        self._slopes = self._worth()

    def _values(self) -> dict[str, Tensor]:
        with torch.no_grad():
            return {name: value.detach() for name, value in self.channels.values().items()}

    def _worth(self) -> dict[str, float]:
        """Slopes relative to their mean over living channels, so that strength means the same in every unit."""
        widths = self.costs.nearest(self.widths())
        slopes = self.regulariser.slopes(self.costs, widths, self.limits)
        living = sum(widths[name] for name in slopes)
        mean = sum(slope * widths[name] for name, slope in slopes.items()) / max(1, living)
        return {name: slope / mean if mean else 0.0 for name, slope in slopes.items()}

    def _order(self) -> list[tuple[float, str, int]]:
        """Living channels that may go, the first to go first: (r/D, group, number)."""
        order = []
        for name, r in self._values().items():
            if self._slopes[name] <= 0:
                continue
            living = torch.nonzero(self.alive[name]).flatten()
            ranked = living[torch.argsort(r[living], stable=True)].tolist()
            spare = self.costs.spare(name, len(ranked))
            order += [(float(r[number]) / self._slopes[name], name, number) for number in ranked[:spare]]
        return sorted(order)

    def _must_go(self, order: list[tuple[float, str, int]]) -> int:
        """How many of the first in `order` must go until the limits hold; all of them where that is not enough."""
        low, high = -1, len(order)
        while high - low > 1:
            middle = (low + high) // 2
            widths = self.widths()
            for _, name, _ in order[:middle]:
                widths[name] -= 1
            if self.costs.meets(self.costs.nearest(widths), self.limits):
                high = middle
            else:
                low = middle
        return high

    def _adjust(self) -> None:
        distance = self.distance()
        self._pace = 0.5 * self._pace + 0.5 * (self._before - distance)
        self._before = distance
        left = max(1.0, (SHRINKING * self._phase - self.step) / self._tick)
        if self._pace < distance / left:
            self.strength *= FASTER
        elif self._pace > 2 * distance / left:
            self.strength *= SLOWER
        if distance == 0:
            self.strength = 0.0
        widths = self.widths()
        latency = self.costs.latency(self.costs.nearest(widths))
        self.history.append(Tick(self.step, self.strength, distance, latency, sum(widths.values())))

    def _bury(self) -> bool:
        """Mark channels dead whose value is at the threshold or below; whether there were any.

        The lowest first, and none once the budget is met: momentum carries many across 0 at once.
        """
        dying = []
        for name, levels in self.channels.levels().items():
            if not self.strength or not self._slopes[name]:
                continue
            low = torch.nonzero((levels <= 0) & self.alive[name]).flatten().tolist()
            dying += [(float(levels[number]) / self._slopes[name], name, number) for number in low]
        for _, name, number in sorted(dying):
            self.alive[name][number] = False
            self.died[name][number] = self.step
            if self.costs.meets(self.costs.nearest(self.widths()), self.limits):
                self.strength = 0.0
                break
        return bool(dying)
