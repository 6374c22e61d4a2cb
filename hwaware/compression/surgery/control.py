"""How much is cut at which time: by the paper's settings, or towards a number of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from hwaware.compression.surgery.masks import Changes, MaskedLayer
from hwaware.errors import ModelError


class Control(Protocol):
    """Decides on thresholds."""

    def stop(self, layer: str) -> int:
        """The step from which on the masks of `layer` stay as they are."""

    def update(self, masked: Sequence[MaskedLayer], step: int, *, splicing: bool, least: int) -> dict[str, Changes]:
        """New masks at `step` for `masked`, those that are due."""


@dataclass(frozen=True)
class Cuts:
    """A layer's settings as the paper has them: c of its threshold μ + c · σ, and the step at which updates end."""

    c: float
    stop: int


@dataclass(frozen=True)
class Settings:
    """Thresholds by hand, for each layer by name. The authors' for LeNet-5: conv1 1 until step 14,000, conv2 3 until
    14,000, ip1 4 until 10,000, ip2 2.5 until 10,000."""

    cuts: Mapping[str, Cuts]

    def stop(self, layer: str) -> int:
        """The layer's own."""
        return self.cuts[layer].stop

    def update(self, masked: Sequence[MaskedLayer], step: int, *, splicing: bool, least: int) -> dict[str, Changes]:
        """Each layer by its own threshold."""
        return {
            each.layer.name: each.update(each.threshold(self.cuts[each.layer.name].c), splicing=splicing, least=least)
            for each in masked
        }


@dataclass(frozen=True)
class Target:
    """`count` weights and biases in all from step `end` on, found without settings.

    One c serves all layers, each by its own μ and σ; it is the one that leaves what the time allows: of the
    connections that are to go, (1 - t / end)³ are still there after t steps. `scales` multiply c of layers that bear
    more or less than others.
    """

    count: int
    end: int
    scales: Mapping[str, float]

    def stop(self, layer: str) -> int:
        """The same for all."""
        return self.end

    def allowed(self, whole: int, step: int) -> int:
        """How many connections of `whole` there may be at `step`."""
        left = max(0.0, 1 - (step + 1) / self.end) ** 3
        return self.count + round((whole - self.count) * left)

    def update(self, masked: Sequence[MaskedLayer], step: int, *, splicing: bool, least: int) -> dict[str, Changes]:
        """All layers by the c of now; at the end without anything between the thresholds, so that the number is met."""
        whole = sum(each.layer.count for each in masked)
        allowed = self.allowed(whole, step)
        c = constant(masked, self.scales, allowed, least)
        changes = {}
        for each in masked:
            tau = each.threshold(c * self.scales.get(each.layer.name, 1.0))
            change = each.keep_above if step >= self.end - 1 else each.update
            changes[each.layer.name] = change(tau, splicing=splicing, least=least)
        return changes


def target_of(model_parameters: int, layer_parameters: int, times: float, end: int) -> Target:
    """`times` fewer parameters: what no layer of surgery has (BatchNorms) counts, and stays.

    Raises ModelError for a number that cannot be met.
    """
    others = model_parameters - layer_parameters
    count = int(model_parameters / times) - others
    if times <= 1 or count < 1:
        most = model_parameters / (others + 1)
        raise ModelError(f"{times:g} times fewer parameters cannot be had: ask for more than 1 and at most {most:.0f}")
    return Target(count, end, {})


_STEPS = 40


def constant(masked: Sequence[MaskedLayer], scales: Mapping[str, float], allowed: int, least: int) -> float:
    """The smallest c, to a bisection, for which no more than `allowed` connections are above their thresholds."""
    magnitudes = [each.magnitudes().sort().values for each in masked]

    def left(c: float) -> int:
        total = 0
        for each, values in zip(masked, magnitudes, strict=True):
            tau = each.threshold(c * scales.get(each.layer.name, 1.0))
            above = len(values) - int(torch.searchsorted(values, torch.tensor(tau, dtype=values.dtype)))
            total += max(above, min(least, len(values)))
        return total

    low, high = -10.0, 1.0
    while left(high) > allowed and high < 1e6:
        high *= 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if left(middle) > allowed else (low, middle)
    return high
