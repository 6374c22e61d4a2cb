"""A layer's weights as they are trained, and which of them count (Guo, Yao, Chen 2016, arXiv:1608.04493, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from hwaware.compression.surgery.layers import Layer

# Of the threshold τ: below the first a connection is cut, from the second on spliced; between them it stays as it is.
LOW, HIGH = 0.9, 1.1


@dataclass(frozen=True)
class Changes:
    """Connections that an update cut and spliced."""

    cut: int = 0
    spliced: int = 0


class MaskedLayer:
    """W and T of a layer, whose parameters hold W ⊙ T while it trains.

    W goes on being trained where T is 0: the gradient of W ⊙ T, which is what autograd gives for the parameters, is
    taken for that of W. The statistics of |W| are of the beginning, over weights and biases that are not 0, and are
    kept: later ones would be of what is left.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.dense = [parameter.detach().clone() for parameter in layer.parameters]
        self.kept = [torch.ones_like(parameter, dtype=torch.bool) for parameter in layer.parameters]
        values = self.magnitudes()
        values = values[values > 0]
        self.mean = float(values.mean()) if len(values) else 0.0
        self.deviation = float(values.std(correction=0)) if len(values) else 0.0

    def magnitudes(self) -> Tensor:
        """|W| of weights and biases, flat."""
        return torch.cat([dense.abs().flatten() for dense in self.dense])

    @property
    def count(self) -> int:
        """Connections that count."""
        return sum(int(kept.sum()) for kept in self.kept)

    def threshold(self, c: float) -> float:
        """τ = μ + c · σ, never below 0."""
        return max(self.mean + c * self.deviation, 0.0)

    @torch.no_grad()
    def follow(self, *, splicing: bool = True) -> None:
        """Take up what the optimiser did to the parameters, also to those that are 0; without splicing they stay 0."""
        for parameter, dense, kept in zip(self.layer.parameters, self.dense, self.kept, strict=True):
            if splicing:
                dense.add_(parameter - dense * kept)
            else:
                dense.copy_(parameter * kept)

    @torch.no_grad()
    def update(self, tau: float, *, splicing: bool = True, least: int = 1) -> Changes:
        """T by the thresholds around `tau`; the `least` largest connections of the layer stay in any case."""
        return self._set([_updated(d.abs(), k, tau, splicing=splicing) for d, k in self._pairs()], least)

    @torch.no_grad()
    def keep_above(self, tau: float, *, splicing: bool = True, least: int = 1) -> Changes:
        """T without anything between the thresholds: what is at least `tau`."""
        wanted = [d.abs() >= tau if splicing else k & (d.abs() >= tau) for d, k in self._pairs()]
        return self._set(wanted, least)

    @torch.no_grad()
    def write(self) -> None:
        """W ⊙ T to the parameters."""
        for parameter, dense, kept in zip(self.layer.parameters, self.dense, self.kept, strict=True):
            parameter.copy_(dense * kept)

    def state(self) -> dict[str, Any]:
        """Everything: W, T, μ and σ."""
        return {"dense": list(self.dense), "kept": list(self.kept), "mean": self.mean, "deviation": self.deviation}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError where it is another layer's."""
        for name, dtype in (("dense", self.dense[0].dtype), ("kept", torch.bool)):
            held = getattr(self, name)
            if [t.shape for t in state[name]] != [t.shape for t in held] or any(t.dtype != dtype for t in state[name]):
                raise ValueError(f"the masks of {self.layer.name} are those of another layer")
        self.dense = [dense.to(own.device) for dense, own in zip(state["dense"], self.dense, strict=True)]
        self.kept = [kept.to(own.device) for kept, own in zip(state["kept"], self.kept, strict=True)]
        self.mean, self.deviation = float(state["mean"]), float(state["deviation"])

    def _pairs(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(self.dense, self.kept, strict=True))

    def _set(self, wanted: list[Tensor], least: int) -> Changes:
        if sum(int(kept.sum()) for kept in wanted) < least:
            largest = self.magnitudes().topk(min(least, self.layer.count)).values[-1]
            wanted = [kept | (dense.abs() >= largest) for kept, dense in zip(wanted, self.dense, strict=True)]
        cut = sum(int((old & ~new).sum()) for old, new in zip(self.kept, wanted, strict=True))
        spliced = sum(int((new & ~old).sum()) for old, new in zip(self.kept, wanted, strict=True))
        self.kept = wanted
        return Changes(cut, spliced)


def _updated(magnitude: Tensor, kept: Tensor, tau: float, *, splicing: bool) -> Tensor:
    staying = kept & (magnitude >= LOW * tau)
    return staying | (magnitude >= HIGH * tau) if splicing else staying
