"""What a call costs each peer before any work: its Python binding and its session, on a model of one tiny ReLU.

Our agent times its calls in C, the peers are called from Python, as their users call them. For a model of a few tens of
microseconds that matters, so the rows also say what the ratio would be without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.peers.lineup import convert, line_up
from benchmarks.peers.peer import Peer
from benchmarks.peers.sources import write_source

SECONDS, LEAST = 0.5, 100


def call_costs(peers: Sequence[Peer], threads: int, folder: Path) -> dict[str, float]:
    """Median milliseconds of such a call, by peer; one that cannot run the model is left out."""
    inputs = (torch.randn(1, 4, 4, 4),)
    write_source(nn.ReLU(), inputs, folder)
    with ExitStack() as stack:
        given = [value.numpy() for value in inputs]
        ready, _ = line_up(peers, folder, given, 1, threads, stack, convert(peers, folder))
        costs = {}
        for name, contestant in ready.items():
            costs[name] = float(np.median(contestant.client.sample(SECONDS, LEAST)))
            contestant.client.pause()
    return costs
