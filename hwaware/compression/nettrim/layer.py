"""One layer: its convex programme set up, solved and polished, and what came of it measured."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from hwaware.compression.nettrim.admm import Programme, Scales, iterate, soft, started
from hwaware.compression.nettrim.inverse import inverse
from hwaware.compression.nettrim.maps import LinearMap
from hwaware.compression.nettrim.polish import polished
from hwaware.errors import TaskError

Mode: TypeAlias = Literal["parallel", "cascade"]


@dataclass(frozen=True)
class Solving:
    """How far ADMM goes. `memory` bytes bound its (M, K) arrays: units are taken in blocks that fit.
    `dtype` is that of the iteration in a network; the linear system is factored in float64 always.

    Blocks share ε² as the sums it is made of do; several blocks solve a slightly tighter programme than one.
    """

    most: int = 500
    tolerance: float = 1e-4
    polish: int = 200
    slack: float = 1e-3  # of the inequalities, times the root mean square of Y on Ω
    dtype: torch.dtype = torch.float32
    memory: int = 1 << 30


PLAIN = Solving()


@dataclass(frozen=True)
class LayerReport:
    """What became of a layer; weights count without biases, outputs before the activation.

    `epsilon` is asked, `achieved` measured: ‖(UᵀX - Y)_Ω‖_F. `violation` is the most that an output outside Ω exceeds
    its bound by, `slack` what was allowed of it. The residuals are ADMM's last, relative. `untrimmed` counts units (of
    them all) that keep their dense weights, as no sparser ones were found that hold the constraints.
    """

    layer: str
    weights: int
    left: int
    epsilon: float
    achieved: float
    violation: float
    slack: float
    iterations: int
    primal: float
    dual: float
    untrimmed: int
    seconds: float

    @property
    def satisfied(self) -> bool:
        """Whether the constraints hold."""
        return self.achieved <= self.epsilon and self.violation <= self.slack


@dataclass(frozen=True)
class Trimmed:
    """New weights (n, K), of the map's type, and the report."""

    weights: Tensor
    report: LayerReport


def trim_layer(
    name: str,
    layer: LinearMap,
    weights: Tensor,
    *,
    gain: float,
    relu: bool = True,
    wanted: Tensor | None = None,
    solving: Solving = PLAIN,
) -> Trimmed:
    """The sparsest weights, in ℓ1, with which `layer` still makes its outputs, up to ε.

    `weights` (n, K) are its own, the bias the last row where the map has one. Without `wanted` ε = gain · ‖Y‖_F, the
    parallel scheme. With it (M, K), the outputs of the untouched network before the ReLU, the layer's inputs are
    those of a trimmed one: ε² = gain · Σ_Ω (WᵀX - Y)², the cascade, and `weights` are feasible for gain ≥ 1. ε is one
    for the whole layer. `relu` false: Ω is everything, a linear layer.

    Needs about six arrays of M · K numbers, within `solving.memory`, and the Gram matrix. Aghasi et al. 2017,
    arXiv:1611.05162, sections 2 and 3. Raises TaskError for a gain out of range, no data, NaN.
    """
    least = 0.0 if wanted is None else 1.0
    if not math.isfinite(gain) or gain < least:
        raise TaskError(f"{name}: the gain must be a number of at least {least:g}, not {gain}")
    began = time.monotonic()
    dtype = layer.dtype
    weights = weights.to(dtype)
    made = layer.forward(weights)
    aim = made if wanted is None else wanted.to(dtype)
    if made.numel() == 0:
        raise TaskError(f"{name}: no calibration data: give at least one sample")
    if not bool(made.isfinite().all() and aim.isfinite().all()):
        raise TaskError(f"{name}: calibration makes NaN or infinite activations; clean the data or the weights")
    fitted = aim > 0 if relu else torch.ones_like(aim, dtype=torch.bool)
    bound = torch.zeros_like(aim) if wanted is None else made
    target = torch.where(fitted, aim, bound)
    error = torch.where(fitted, aim if wanted is None else made - aim, 0).double().square().sum(0)
    allowed = error * (gain**2 if wanted is None else gain)
    scales = _scales(layer, weights)
    system = inverse(layer, scales.data, dtype)
    on = aim[fitted]
    slack = solving.slack * float(on.double().square().mean().sqrt()) if on.numel() else solving.slack
    found, runs, untrimmed = weights.clone(), [], 0
    block = max(1, solving.memory // (6 * made.element_size() * len(made)))
    for start in range(0, weights.shape[1], block):
        part = slice(start, start + block)
        epsilon = math.sqrt(float(allowed[part].sum()))
        programme = Programme(layer, target[:, part], fitted[:, part], epsilon)
        own = weights[:, part]
        state = started(programme, own, scales)
        run = iterate(programme, system, scales, state, soft, most=solving.most, tolerance=solving.tolerance)
        sparse = polished(programme, system, scales, run, slack=slack, most=solving.polish)
        if sparse is None:
            untrimmed += own.shape[1]
        else:
            found[:, part] = sparse
        runs.append(run)
    whole = Programme(layer, target, fitted, math.sqrt(float(allowed.sum())))
    outputs = layer.forward(found)
    inputs = layer.rows - layer.bias
    report = LayerReport(
        layer=name,
        weights=inputs * weights.shape[1],
        left=int(torch.count_nonzero(found[:inputs])),
        epsilon=whole.epsilon,
        achieved=whole.distance(outputs),
        violation=whole.violation(outputs),
        slack=slack,
        iterations=max(run.iterations for run in runs),
        primal=max(run.primal for run in runs),
        dual=max(run.dual for run in runs),
        untrimmed=untrimmed,
        seconds=time.monotonic() - began,
    )
    return Trimmed(found, report)


def _scales(layer: LinearMap, weights: Tensor) -> Scales:
    """Root mean squares: of the data's columns (estimated with random signs), times √M, and of the weights."""
    random = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (layer.rows, 8), generator=random).to(weights.dtype) * 2 - 1
    data = float(layer.forward(signs).square().mean().sqrt()) * math.sqrt(layer.positions / layer.rows)
    return Scales(data or 1.0, float(weights.square().mean().sqrt()) or 1.0)
