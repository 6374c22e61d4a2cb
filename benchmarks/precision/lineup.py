"""The int8 peers of one row: converted, loaded at their best setting, their outputs taken, paused until their turn."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.client import Client, PeerError
from benchmarks.peers.lineup import TRIAL_LEAST, TRIAL_SECONDS
from benchmarks.peers.peer import Peer


class Int8Client(Client):
    """A worker of this benchmark on the first `threads` of this process's processors."""

    worker = "benchmarks.precision.worker"


@dataclass(frozen=True)
class Contestant:
    """A worker with the model loaded, and its outputs (images, classes)."""

    client: Client
    setting: str
    outputs: np.ndarray

    def sample(self, seconds: float, least: int) -> list[float]:
        """Milliseconds of each call; the worker is still afterwards."""
        taken = self.client.sample(seconds, least)
        self.client.pause()
        return taken


def line_up(
    peers: Sequence[Peer], folder: Path, images: np.ndarray, threads: int, stack: ExitStack
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Contestants by name, and the reasons of the peers that are none. `stack` ends the workers."""
    ready: dict[str, Contestant] = {}
    reasons: dict[str, str] = {}
    for peer in peers:
        try:
            with Int8Client(peer.name, 1) as client:
                client.convert(folder)
            ready[peer.name] = _fastest(peer, folder, images, threads, stack)
        except PeerError as error:
            reasons[peer.name] = str(error)
    return ready, reasons


def _fastest(peer: Peer, folder: Path, images: np.ndarray, threads: int, stack: ExitStack) -> Contestant:
    """At the fastest of its settings in a short trial. Raises PeerError where one does not work."""
    found: list[tuple[float, Contestant]] = []
    for setting in peer.settings:
        client = stack.enter_context(Int8Client(peer.name, threads))
        client.load(folder, setting)
        outputs = np.concatenate([client.check([image[None]], 1, folder)[0] for image in images])
        found.append(
            (float(np.median(client.sample(TRIAL_SECONDS, TRIAL_LEAST))), Contestant(client, setting, outputs))
        )
        client.pause()
    best = min(found, key=lambda each: each[0])[1]
    for _, other in found:
        if other is not best:
            other.client.end()
    return best
