"""Lloyd's algorithm in the metric of a Gram matrix G: clusters of blocks whose outputs are alike.

Stock et al. 2019 (arXiv:1907.05686, section 3.2) write the M-step with a pseudo-inverse of the inputs. The objective
Σ (v - c)ᵀ G (v - c) has the gradient -2 G Σ (v - c), which vanishes at the mean whatever the rank of G; at full rank
nowhere else. So the mean is taken. With G = F Fᵀ the E-step is Euclid's on v F.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hwaware.errors import ModelError

CHUNK = 64 << 20  # bytes of distances held at once
_ATTEMPTS = 8  # clusters tried for one that is empty


@dataclass(frozen=True)
class Clusters:
    """`codebook` (k, d) and `assignments` (vectors), and the objective after every step, never rising."""

    codebook: Tensor
    assignments: Tensor
    objectives: tuple[float, ...]


def lloyd(vectors: Tensor, metric: Tensor, k: int, *, steps: int = 100, seed: int = 0) -> Clusters:
    """`vectors` (n, d) in at most `k` clusters under `metric` (d, d), symmetric and positive semidefinite.

    Stops early where nothing moves any more. Codewords stay float64. A codeword nobody can be given to (fewer distinct
    vectors than k) stays unused. Raises ModelError for k above n and for numbers that are not finite.
    """
    if k > len(vectors):
        raise ModelError(f"k = {k} is larger than the {len(vectors)} vectors; take a smaller codebook")
    if not bool(torch.isfinite(vectors).all() and torch.isfinite(metric).all()):
        raise ModelError("the vectors or their metric hold NaN or infinity: train or load the model again")
    values, basis = torch.linalg.eigh(metric.double())
    factor = basis * values.clamp(min=0).sqrt()
    v = vectors.detach().double()
    seen = v @ factor
    random = torch.Generator().manual_seed(seed)
    codebook = v[torch.randperm(len(v), generator=random)[:k]].clone()
    chosen = _nearest(seen, codebook @ factor)
    objectives = []
    for _ in range(steps):
        chosen = _filled(v, factor, chosen, k, random)
        codebook = _means(v, chosen, codebook)
        words = codebook @ factor
        moved = _better(seen, words, chosen, _nearest(seen, words))
        objectives.append(float((seen - words[moved]).square().sum()))
        if torch.equal(moved, chosen):
            break
        chosen = moved
    return Clusters(codebook, chosen, tuple(objectives))


def _nearest(seen: Tensor, words: Tensor) -> Tensor:
    """The E-step, a chunk of vectors at a time, in float32: `_better` takes the exact distances."""
    words = words.float()
    offsets = words.square().sum(1)
    rows = max(1, CHUNK // (4 * len(words)))
    return torch.cat([torch.addmm(offsets, part, words.T, alpha=-2).argmin(1) for part in seen.float().split(rows)])


def _better(seen: Tensor, words: Tensor, old: Tensor, new: Tensor) -> Tensor:
    """`new` only where it is truly nearer: ties and rounding must not keep vectors moving."""
    before, after = ((seen - words[chosen]).square().sum(1) for chosen in (old, new))
    return torch.where(after < before, new, old)


def _means(v: Tensor, chosen: Tensor, codebook: Tensor) -> Tensor:
    """The M-step; an empty cluster keeps its codeword."""
    counts = torch.bincount(chosen, minlength=len(codebook))
    sums = torch.zeros_like(codebook).index_add_(0, chosen, v)
    return torch.where((counts > 0).unsqueeze(1), sums / counts.clamp(min=1).unsqueeze(1), codebook)


def _filled(v: Tensor, factor: Tensor, chosen: Tensor, k: int, random: torch.Generator) -> Tensor:
    """Give each empty cluster a part of a populous one.

    Its mean is moved both ways along a random direction and its members go to the nearer side. Only the side counts,
    so that the distance need not be chosen: an absolute one vanishes beside large weights. The means of two parts are
    never worse than one mean.
    """
    counts = torch.bincount(chosen, minlength=k)
    empty = torch.nonzero(counts == 0).flatten().tolist()
    if not empty:
        return chosen
    chosen = chosen.clone()
    attempts = _ATTEMPTS * len(empty)
    for cluster in empty:
        while attempts > 0:
            attempts -= 1
            source = int(counts.argmax())
            if counts[source] < 2:
                return chosen
            members = torch.nonzero(chosen == source).flatten()
            away = _far_side(v[members], factor, random)
            if 0 < int(away.sum()) < len(members):
                chosen[members[away]] = cluster
                counts[cluster], counts[source] = int(away.sum()), int((~away).sum())
                break
            # All alike under the metric: no part of it is worth a codeword.
            counts[source] = 0
    return chosen


def _far_side(members: Tensor, factor: Tensor, random: torch.Generator) -> Tensor:
    mean = members.mean(0)
    direction = torch.randn(mean.shape, generator=random, dtype=mean.dtype)
    return ((members - mean) @ factor) @ (direction @ factor) > 0
