"""What goes along with a training: after every step weights are followed, masks updated, W ⊙ T put back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hwaware.compression.surgery.control import Control
from hwaware.compression.surgery.layers import Layer, layers
from hwaware.compression.surgery.masks import MaskedLayer

# Of the probability (1 + γ·t)^(-p) with which masks are updated at step t.
GAMMA, POWER = 1e-3, 1.0


@dataclass(frozen=True)
class LayerReport:
    """What became of a layer: weights and biases before and after, connections cut and spliced on the way."""

    name: str
    before: int
    after: int
    weights: int
    biases: int
    cut: int
    spliced: int
    mean: float
    deviation: float


class Surgeon:
    """For `fit(model, after_step=surgeon.after_step, keep=[surgeon])`; `Stateful`.

    From step `control.stop(layer)` on the masks of a layer stay, and what is left goes on being trained. Which steps
    update masks is drawn from `seed`; with the same state the same trajectory follows. Without `splicing` what is cut
    stays cut. No layer is left fewer than `least` connections. Raises ModelError as of `layers.layers`.
    """

    def __init__(
        self,
        model: nn.Module,
        control: Control,
        *,
        gamma: float = GAMMA,
        power: float = POWER,
        splicing: bool = True,
        least: int = 10,
        seed: int = 0,
    ) -> None:
        self.masked = [MaskedLayer(layer) for layer in layers(model)]
        self.control, self.gamma, self.power = control, gamma, power
        self.splicing, self.least, self.step = splicing, least, 0
        self._random = torch.Generator().manual_seed(seed)
        self.updates = {each.layer.name: 0 for each in self.masked}
        self.cut = {each.layer.name: 0 for each in self.masked}
        self.spliced = {each.layer.name: 0 for each in self.masked}

    def after_step(self, _: nn.Module) -> None:
        """Called behind every step of the optimiser."""
        for each in self.masked:
            each.follow(splicing=self.splicing)
        # Drawn for every step, also where nothing is due any more: the draws of two runs stay the same.
        drawn = float(torch.rand((), generator=self._random))
        due = [each for each in self.masked if self.step < self.control.stop(each.layer.name)]
        last = [each for each in due if self.step == self.control.stop(each.layer.name) - 1]
        if due and (last or drawn < (1 + self.gamma * self.step) ** -self.power):
            changes = self.control.update(due, self.step, splicing=self.splicing, least=self.least)
            for name, change in changes.items():
                self.updates[name] += 1
                self.cut[name] += change.cut
                self.spliced[name] += change.spliced
        for each in self.masked:
            each.write()
        self.step += 1

    def reports(self) -> tuple[LayerReport, ...]:
        """A row a layer."""
        return tuple(self._report(each) for each in self.masked)

    def _report(self, each: MaskedLayer) -> LayerReport:
        layer: Layer = each.layer
        weights, *biases = (int(kept.sum()) for kept in each.kept)
        name = layer.name
        counts = (layer.count, each.count, weights, sum(biases))
        return LayerReport(name, *counts, self.cut[name], self.spliced[name], each.mean, each.deviation)

    def state(self) -> dict[str, Any]:
        """All that decides on what follows."""
        return {
            "layers": {each.layer.name: each.state() for each in self.masked},
            "step": self.step,
            "random": self._random.get_state(),
            "updates": dict(self.updates),
            "cut": dict(self.cut),
            "spliced": dict(self.spliced),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError where it is another model's."""
        if list(state["layers"]) != [each.layer.name for each in self.masked]:
            raise ValueError("the masks are those of another model")
        for each in self.masked:
            each.restore(state["layers"][each.layer.name])
        self._random.set_state(state["random"])
        self.step = int(state["step"])
        self.updates, self.cut, self.spliced = (dict(state[key]) for key in ("updates", "cut", "spliced"))
