"""Weights that hold the constraints exactly: the least change of ADMM's answer on its own support.

W₂ is sparse but only nearly feasible, W₃ the other way round. The polish is min ‖U - W₂‖² over U with W₂'s zeros,
A U ∈ C, by the same iteration: only the proximal map is another.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from hwaware.compression.nettrim.admm import Programme, Run, Scales, iterate
from hwaware.compression.nettrim.inverse import Inverse

_MARGIN = 1e-4  # of ε, and of the size of an output: what is aimed at lies that much inside, ten times more each round
_ROUNDS = 3
_GROWTH = 0.05  # of the support, each further round twice as much


def polished(
    programme: Programme,
    system: Inverse,
    scales: Scales,
    run: Run,
    *,
    slack: float,
    most: int,
) -> Tensor | None:
    """Weights (n, K) in C, up to `slack` in the inequalities; None where none are found.

    Where the support of W₂ is too small, the places where W₃ is largest join it, a few more each round.
    """

    def accept(weights: Tensor) -> bool:
        return programme.inside(programme.layer.forward(weights), slack)

    state = run.state
    mask = state.sparse != 0
    if accept(state.sparse * scales.weights):
        return state.sparse * scales.weights
    size = programme.target[programme.fitted].square().mean().sqrt() if bool(programme.fitted.any()) else 0.0
    support = int(mask.sum())
    for turn in range(_ROUNDS):
        margin = _MARGIN * 10**turn
        tight = replace(
            programme,
            target=torch.where(programme.fitted, programme.target, programme.target - margin * size),
            epsilon=programme.epsilon * (1 - margin),
        )
        anchor = torch.where(mask, state.graph if turn else state.sparse, 0)

        def proximal(values: Tensor, rho: float, mask: Tensor = mask, anchor: Tensor = anchor) -> Tensor:
            return torch.where(mask, (rho * values + anchor) / (rho + 1), 0)

        begin = replace(
            state,
            sparse=anchor,
            outputs_dual=torch.zeros_like(state.outputs),
            sparse_dual=torch.zeros_like(anchor),
            rho=10.0,  # feasibility first: the least change is the weaker force
        )
        tried = iterate(tight, system, scales, begin, proximal, most=most, tolerance=0.0, accept=accept)
        found = tried.state.sparse * scales.weights
        if accept(found):
            return found
        more = min(mask.numel() - int(mask.sum()), 1 + int(_GROWTH * 2**turn * support))
        if more <= 0:
            break
        outside = torch.where(mask, -1.0, tried.state.graph.abs())
        mask = mask.clone()
        mask.view(-1)[outside.flatten().topk(more).indices] = True
    return None
