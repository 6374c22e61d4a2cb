"""The alternating directions method of multipliers for the programme of one layer, in units of its own.

min ‖W‖₁ subject to A W ∈ C, with C: ‖(Z - T)_Ω‖_F ≤ ε and Z ≤ T outside Ω. Split as Z = A W₃, W₂ = W₃. Everything is
divided by the sizes of the data (a) and of the weights (w), so that ρ means the same for every layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hwaware.compression.nettrim.inverse import Inverse
from hwaware.compression.nettrim.maps import LinearMap

Proximal = Callable[[Tensor, float], Tensor]  # of W₂, given its argument and ρ
_RELAXATION = 1.6  # Boyd et al. 2011, section 3.4.3
_EVERY = 10  # iterations between two looks at the residuals
_IMBALANCE = 5.0


@dataclass(frozen=True)
class Programme:
    """C of one layer: `target` (M, K) is Y on `fitted` (Ω) and the upper bound V elsewhere."""

    layer: LinearMap
    target: Tensor
    fitted: Tensor
    epsilon: float

    def projected(self, outputs: Tensor) -> Tensor:
        """The nearest point of C."""
        off = outputs - self.target
        distance = float(torch.linalg.vector_norm(off[self.fitted]))
        shrunk = off * min(1.0, self.epsilon / distance) if distance > 0 else off
        return self.target + torch.where(self.fitted, shrunk, off.clamp(max=0))

    def distance(self, outputs: Tensor) -> float:
        """‖(Z - T)_Ω‖_F."""
        return float(torch.linalg.vector_norm((outputs - self.target)[self.fitted].double()))

    def violation(self, outputs: Tensor) -> float:
        """The most by which an output outside Ω exceeds its bound; 0 where none does."""
        over = (outputs - self.target)[~self.fitted]
        return max(0.0, float(over.max())) if over.numel() else 0.0

    def inside(self, outputs: Tensor, slack: float) -> bool:
        """Whether outputs are in C, up to `slack` in each inequality, and to nothing in ε."""
        return self.distance(outputs) <= self.epsilon and self.violation(outputs) <= slack


@dataclass(frozen=True)
class Scales:
    """Sizes that the programme is divided by: of the data, and of the weights."""

    data: float
    weights: float

    @property
    def outputs(self) -> float:
        """Of A W."""
        return self.data * self.weights


@dataclass(frozen=True)
class State:
    """Where the method stands, in its own units: Z and W₂, their scaled multipliers, and W₃."""

    outputs: Tensor
    sparse: Tensor
    outputs_dual: Tensor
    sparse_dual: Tensor
    graph: Tensor
    rho: float


@dataclass(frozen=True)
class Run:
    """The last state, how many iterations it took, and the relative residuals there."""

    state: State
    iterations: int
    primal: float
    dual: float


def started(programme: Programme, weights: Tensor, scales: Scales) -> State:
    """A state at `weights` (n, K), with multipliers of 0."""
    inner = weights / scales.weights
    outputs = programme.layer.forward(weights) / scales.outputs
    return State(outputs, inner, torch.zeros_like(outputs), torch.zeros_like(inner), inner, 1.0)


def soft(values: Tensor, rho: float) -> Tensor:
    """The proximal map of ‖·‖₁ / ρ."""
    return values.sign() * (values.abs() - 1 / rho).clamp_min(0)


def iterate(
    programme: Programme,
    system: Inverse,
    scales: Scales,
    state: State,
    proximal: Proximal,
    *,
    most: int,
    tolerance: float,
    accept: Callable[[Tensor], bool] | None = None,
) -> Run:
    """Iterate until both relative residuals are at most `tolerance`, or `accept(W₂)` says so, at most `most` times.

    Where both are given, `accept` alone ends it. ρ is doubled or halved while the residuals differ much, ever less
    often (Boyd et al. 2011, section 3.4.1); it is not in the linear system, which is factored once.
    """
    layer, unit = programme.layer, scales.outputs
    inner = replace(programme, target=programme.target / unit, epsilon=programme.epsilon / unit)
    z, w, zu, wu, x, rho = (
        state.outputs, state.sparse, state.outputs_dual, state.sparse_dual, state.graph, state.rho
    )  # fmt: skip
    primal = dual = math.inf
    count, patience = 0, _EVERY
    changed = 0
    while count < most:
        count += 1
        x = system.solve(layer.adjoint(z - zu) / scales.data + w - wu, x)
        made = layer.forward(x) / scales.data
        z_mixed = _RELAXATION * made + (1 - _RELAXATION) * z
        w_mixed = _RELAXATION * x + (1 - _RELAXATION) * w
        z_before, w_before = z, w
        z = inner.projected(z_mixed + zu)
        w = proximal(w_mixed + wu, rho)
        zu = zu + z_mixed - z
        wu = wu + w_mixed - w
        if count % _EVERY and count < most:
            continue
        primal = math.hypot(_norm(made - z), _norm(x - w)) / max(math.hypot(_norm(made), _norm(x)), 1e-30)
        moved = layer.adjoint(z - z_before) / scales.data + w - w_before
        dual = _norm(moved) / max(_norm(wu), 1e-30)
        if accept(w * scales.weights) if accept else max(primal, dual) <= tolerance:
            break
        if count - changed >= patience and not 1 / _IMBALANCE <= primal / max(dual, 1e-30) <= _IMBALANCE:
            factor = 2.0 if primal > dual else 0.5
            rho, zu, wu = rho * factor, zu / factor, wu / factor
            changed, patience = count, patience + _EVERY
    return Run(State(z, w, zu, wu, x, rho), count, primal, dual)


def _norm(values: Tensor) -> float:
    return float(torch.linalg.vector_norm(values))
