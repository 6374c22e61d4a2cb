"""Initial values of channels that a graph did not have before."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch

from hwaware.graph.ir import Ref
from hwaware.graph.ops import BATCH_NORM, CONV, LAYER_NORM, LINEAR
from hwaware.graph.tracer import Axis, Tracer

# What one number a channel starts as, by the argument it is of its node.
_START = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}


def fill_fresh(tracer: Tracer, tensors: dict[str, torch.Tensor], fresh: Mapping[Axis, np.ndarray], seed: int) -> None:
    """Overwrite in `tensors` what belongs to `fresh` positions along the axes of the traced graph.

    Weights that produce a new channel are drawn as He et al. 2015 (arXiv:1502.01852) do; weights with which
    an old channel would read a new one are zero, so that nothing changes until they are trained. Norms start
    as the identity, biases at zero; other per-channel tensors (PReLU, positions) keep the values they were
    modelled on.
    """
    generator = torch.Generator().manual_seed(seed)
    written = dict(tracer.outputs.values())
    read = dict(tracer.inputs.values())
    for node in tracer.graph.nodes:
        for key, arg in node.args.items():
            if not isinstance(arg, Ref) or arg.name not in tensors:
                continue
            positions = fresh.get((arg.name, 0))
            if key == "weight" and node.op in CONV and arg.name not in written:
                _draw(tensors[arg.name], 0, positions, generator)
            elif node.op in BATCH_NORM | LAYER_NORM or (key == "bias" and node.op in CONV | LINEAR):
                _start(tensors[arg.name], positions, _START.get(key, 0.0))
    for name, dim in written.items():
        tensor, out = tensors[name], fresh.get((name, dim))
        _draw(tensor, dim, out, generator)
        inside = fresh.get((name, read[name])) if name in read else None
        if inside is not None and inside.any():
            old = np.ones(tensor.shape[dim], dtype=bool) if out is None else ~out
            rows, columns = (torch.from_numpy(np.flatnonzero(mask)) for mask in (old, inside))
            tensor.movedim((dim, read[name]), (0, 1))[rows[:, None], columns] = 0


def _draw(tensor: torch.Tensor, dim: int, positions: np.ndarray | None, generator: torch.Generator) -> None:
    if positions is None or not positions.any() or not tensor.is_floating_point():
        return
    rows = tensor.movedim(dim, 0)
    shape = (int(positions.sum()), *rows.shape[1:])
    deviation = math.sqrt(2 / max(1, math.prod(rows.shape[1:])))
    drawn = torch.randn(shape, generator=generator) * deviation
    rows[torch.from_numpy(np.flatnonzero(positions))] = drawn.to(tensor.dtype)


def _start(tensor: torch.Tensor, positions: np.ndarray | None, value: float) -> None:
    if positions is not None and positions.any():
        tensor[torch.from_numpy(np.flatnonzero(positions))] = value
