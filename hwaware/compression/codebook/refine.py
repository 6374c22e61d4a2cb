"""Indices and codewords moved on for the whole output of a layer, blocks and their neighbours together.

The objective of Stock et al. 2019 (arXiv:1907.05686, section 3.2) looks at each block by itself and takes all to read
the same inputs. But the errors E (outputs, row) of the blocks of one row add up in the output: what counts is
tr(E G Eᵀ) with G (row, row) the Gram matrix of the whole rows that are read, by group. Both steps descend on that:

- place by place along the rows, every block takes the codeword that is best beside its neighbours as they are;
- the codewords take conjugate-gradient steps towards their least squares for the indices as they are (Hestenes and
  Stiefel 1952), each of which lowers the objective.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hwaware.compression.codebook.lloyd import Clusters

_STEPS = 8  # of conjugate gradients a round
_CLEAR = 1e-10  # relative gain below which an index stays


def refined(weight: Tensor, full: Tensor, start: Clusters, rounds: int) -> Clusters:
    """`start` after `rounds` of both steps, and tr(E G Eᵀ) before and after each of them.

    `weight` is (groups, outputs, row), `full` (groups, row, row). Everything is taken in float64.
    """
    problem = _Problem(weight.detach().double(), full.double(), start)
    objectives = [problem.objective()]
    for _ in range(rounds):
        moved = problem.reassign()
        problem.descend()
        objectives.append(problem.objective())
        if not moved:
            break
    return Clusters(problem.words, problem.codes.flatten(), tuple(objectives))


class _Problem:
    def __init__(self, weight: Tensor, full: Tensor, start: Clusters) -> None:
        self._weight, self._full = weight, full
        self.words = start.codebook.double()
        groups, outputs, _ = weight.shape
        self.codes = start.assignments.reshape(groups, outputs, -1).clone()

    def objective(self) -> float:
        error = self._error()
        return float(((error @ self._full) * error).sum())

    def reassign(self) -> bool:
        """One pass over the places of a row; whether an index changed."""
        d = self.words.shape[1]
        error = self._error()
        changed = False
        for place in range(self.codes.shape[2]):
            here = slice(place * d, (place + 1) * d)
            own = self._full[:, here, here]
            old = self.codes[:, :, place]
            # What the other blocks of the row leave to be made up for.
            beside = error @ self._full[:, :, here] - error[:, :, here] @ own
            pull = self._weight[:, :, here] @ own + beside
            costs = ((self.words @ own) * self.words).sum(2).unsqueeze(1) - 2 * pull @ self.words.T
            least, new = costs.min(2)
            before = costs.gather(2, old.unsqueeze(2)).squeeze(2)
            better = least < before - _CLEAR * costs.abs().amax(2)
            self.codes[:, :, place] = torch.where(better, new, old)
            error[:, :, here] = self._weight[:, :, here] - self.words[self.codes[:, :, place]]
            changed = changed or bool(better.any())
        return changed

    def descend(self) -> None:
        """Conjugate gradients on the codewords."""
        residual = self._scattered(self._error() @ self._full)
        direction = residual.clone()
        power = residual.square().sum()
        for _ in range(_STEPS):
            image = self._scattered(self._spread(direction) @ self._full)
            curvature = (direction * image).sum()
            if float(curvature) <= 0 or float(power) == 0:
                return
            size = power / curvature
            self.words = self.words + size * direction
            residual = residual - size * image
            before, power = power, residual.square().sum()
            direction = residual + power / before * direction

    def _error(self) -> Tensor:
        return self._weight - self._spread(self.words)

    def _spread(self, words: Tensor) -> Tensor:
        return words[self.codes].flatten(2)

    def _scattered(self, rows: Tensor) -> Tensor:
        """Sums of the blocks of `rows`, by codeword."""
        return torch.zeros_like(self.words).index_add_(0, self.codes.flatten(), rows.reshape(-1, self.words.shape[1]))
