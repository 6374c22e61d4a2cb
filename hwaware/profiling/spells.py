"""Runs of one model taken in turn with others: which of their samples a slow spell of the machine has touched.

Somebody else on the machine, on the other half of a core or on the memory it shares, only ever makes a call slower, and
nothing that the machine reports of itself need show it. Spells last from milliseconds to minutes. So samples are judged
by the block, and a model is run until several runs agree, at times, with its fastest block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

Samples: TypeAlias = "Sequence[float] | np.ndarray"

# So many samples in a row, and at least so many nanoseconds, are judged together by their median.
_BLOCK, _BLOCK_NS = 8, 1e6
# A block that came out this much slower than the fastest was disturbed.
SLOW = 1.02
# So many runs, of each of them this share undisturbed, are enough.
ENOUGH, _SHARE = 4, 0.1


def undisturbed(runs: Sequence[Samples]) -> list[np.ndarray]:
    """Of the samples of each of the `runs`, in nanoseconds and in their order, whether it counts.

    Two threads, drawn from 54 runs of 80 ms on a machine with neighbours, nine times in ten: six runs judged as wholes
    came to between 9 % less and 4 % more than usual, judged by blocks to between 0.4 % less and 4 % more, and within
    0.4 % where up to ten more were made until four agreed.
    """
    blocks = [_blocks(np.asarray(run, dtype=float)) for run in runs]
    medians = [[float(np.median(block)) for block in parts] for parts in blocks]
    best = min((median for parts in medians for median in parts), default=0.0)
    return [
        np.repeat(np.array(values) <= SLOW * best, [len(block) for block in parts])
        for values, parts in zip(medians, blocks, strict=True)
    ]


def agreeing(masks: Sequence[np.ndarray]) -> int:
    """How many runs come near the fastest for long enough to be believed."""
    return sum(bool(mask.mean() >= _SHARE) for mask in masks)


def wanting(runs: Sequence[Samples], planned: int) -> bool:
    """Whether there should be another one: fewer than `planned`, or too few that agree with the fastest."""
    return len(runs) < planned or agreeing(undisturbed(runs)) < min(planned, ENOUGH)


def _blocks(samples: np.ndarray) -> list[np.ndarray]:
    size = max(_BLOCK, math.ceil(_BLOCK_NS / max(float(np.median(samples)), 1.0)))
    return np.array_split(samples, max(1, len(samples) // size))
