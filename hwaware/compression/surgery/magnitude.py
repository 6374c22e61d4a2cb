"""Magnitude pruning with retraining, to compare with: Han, Pool, Tran, Dally 2015, arXiv:1506.02626, section 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hwaware.compression.surgery.control import constant
from hwaware.compression.surgery.masks import Changes, MaskedLayer


@dataclass(frozen=True)
class Magnitude:
    """Cuts at `steps` only, each time an equal share of what is there, the last time to `count`; a `Control`.

    One step is pruning at once, several are rounds of it. For a `Surgeon` without splicing and with gamma 0.
    """

    count: int
    steps: tuple[int, ...]

    def stop(self, layer: str) -> int:
        """Behind the last step."""
        return self.steps[-1] + 1

    def update(self, masked: Sequence[MaskedLayer], step: int, *, splicing: bool, least: int) -> dict[str, Changes]:
        """What is left is the largest, by one c for all layers as in `control.Target`."""
        if step not in self.steps:
            return {}
        whole = sum(each.layer.count for each in masked)
        done = (self.steps.index(step) + 1) / len(self.steps)
        c = constant(masked, {}, round(whole * (self.count / whole) ** done), least)
        return {each.layer.name: each.keep_above(each.threshold(c), splicing=splicing, least=least) for each in masked}
