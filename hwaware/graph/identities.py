"""Channel identities: numbers handed out to channels, tied when channels must live or die together.

Identity 0 stands for "fixed": no channel, or one that can never go. Tying something to it pins it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Ids = NDArray[np.int64]
FIXED_REASON = "tied to an input or a fixed value"


class Identities:
    """Ties and pins are collected as they come and solved together."""

    def __init__(self, first: int = 1) -> None:
        self._size = first
        self._edges: list[tuple[Ids, Ids]] = []
        self._pins: list[tuple[Ids, str]] = []

    def fresh(self, *shape: int) -> Ids:
        """New identities, all different."""
        count = int(np.prod(shape))
        ids = np.arange(self._size, self._size + count, dtype=np.int64).reshape(shape)
        self._size += count
        return ids

    def tie(self, a: Ids, b: Ids) -> None:
        """Channels of `a` and `b` (broadcast against each other) live or die together."""
        left, right = (side.ravel() for side in np.broadcast_arrays(a, b))
        fixed = (left == 0) | (right == 0)
        if fixed.any():
            self.pin(np.concatenate([left[fixed], right[fixed]]), FIXED_REASON)
        different = ~fixed & (left != right)
        if different.any():
            self._edges.append((left[different], right[different]))

    def pin(self, ids: Ids, reason: str) -> None:
        """Channels that must stay, and why."""
        real = np.unique(ids)
        self._pins.append((real[real != 0], reason))

    def solve(self) -> tuple[Ids, dict[int, str]]:
        """For every identity its class (0 only for identity 0); and the pinned classes with their reasons."""
        if self._edges:
            left, right = (np.concatenate([edge[side] for edge in self._edges]) for side in (0, 1))
        else:
            left = right = np.zeros(0, dtype=np.int64)
        adjacency = coo_matrix((np.ones(len(left), dtype=np.int8), (left, right)), shape=(self._size,) * 2)
        _, labels = connected_components(adjacency, directed=False)
        # The smallest member names its class, so that identity 0, never tied, keeps class 0.
        _, first = np.unique(labels, return_index=True)
        classes: Ids = first[labels].astype(np.int64)
        pinned: dict[int, str] = {}
        for ids, reason in self._pins:
            for root in np.unique(classes[ids]).tolist():
                pinned.setdefault(root, reason)
        return classes, pinned


def varying(ids: Ids) -> list[int]:
    """The dimensions along which `ids` differ."""
    return [dim for dim in range(ids.ndim) if ids.shape[dim] > 1 and bool((ids != ids.take([0], dim)).any())]


def compress(ids: Ids) -> Ids:
    """`ids` with size 1 in every dimension along which they are equal."""
    keep = set(varying(ids))
    return ids[tuple(slice(None) if dim in keep else slice(0, 1) for dim in range(ids.ndim))]


def reshape(ids: Ids, before: tuple[int, ...], after: tuple[int, ...]) -> Ids:
    """Identities of a value of shape `before` once it is viewed as `after`; both shapes are the value's own.

    The shapes are cut into the shortest runs of dimensions with equal products. A run whose identities do not
    vary stays one, so that no spatial dimension is ever written out unless channels are folded into it.
    """
    expanded: list[int] = []
    viewed: list[int] = []
    for old, new in _runs(before, after):
        varies = any(ids.shape[dim] > 1 for dim in old)
        expanded += [before[dim] if varies else 1 for dim in old]
        viewed += [after[dim] if varies else 1 for dim in new]
    return compress(np.broadcast_to(ids, expanded).reshape(viewed))


def _runs(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    runs: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        old, new, left, right = [], [], 1, 1
        while True:
            if left <= right and i < len(before):
                left *= before[i]
                old.append(i)
                i += 1
            elif j < len(after):
                right *= after[j]
                new.append(j)
                j += 1
            else:
                raise ValueError(f"shape {before} cannot be viewed as {after}")
            if left == right or (i == len(before) and j == len(after)):
                break
        runs.append((old, new))
    return runs
