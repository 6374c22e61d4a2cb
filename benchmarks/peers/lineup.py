"""The peers of one row: converted, loaded at their best setting, checked, and paused until their turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.peers.client import Client, PeerError
from benchmarks.peers.peer import Peer

TRIAL_SECONDS, TRIAL_LEAST = 0.3, 5


@dataclass(frozen=True)
class Contestant:
    """A peer's worker with the model loaded."""

    client: Client
    setting: str
    memory_before: int
    outputs: list[np.ndarray]


def convert(peers: Sequence[Peer], folder: Path) -> dict[str, str]:
    """Write each runtime's files into the model's folder; the reasons of those that cannot, by name."""
    reasons = {}
    for peer in peers:
        try:
            with Client(peer.name, 1) as client:
                client.convert(folder)
        except PeerError as error:
            reasons[peer.name] = f"cannot convert: {error}"
    return reasons


def line_up(
    peers: Sequence[Peer],
    folder: Path,
    inputs: Sequence[np.ndarray],
    outputs: int,
    threads: int,
    stack: ExitStack,
    failed: Mapping[str, str],
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Contestants by name, and the reasons of the peers that are none. `stack` ends the workers."""
    ready: dict[str, Contestant] = {}
    reasons = dict(failed)
    for peer in peers:
        if peer.name in failed:
            continue
        try:
            ready[peer.name] = _best_setting(peer, folder, inputs, outputs, threads, stack)
        except PeerError as error:
            reasons[peer.name] = str(error)
    return ready, reasons


def _best_setting(
    peer: Peer, folder: Path, inputs: Sequence[np.ndarray], outputs: int, threads: int, stack: ExitStack
) -> Contestant:
    """The fastest of the settings in a short trial; PeerError with the last reason where none works."""
    best: tuple[float, Contestant] | None = None
    reason: PeerError | None = None
    for setting in peer.settings:
        client = stack.enter_context(Client(peer.name, threads))
        try:
            before = client.load(folder, setting)
            contestant = Contestant(client, setting, before, client.check(inputs, outputs, folder))
            time = float(np.median(client.sample(TRIAL_SECONDS, TRIAL_LEAST)))
        except PeerError as error:
            reason = error
            client.end()
            continue
        client.pause()
        if best is None or time < best[0]:
            if best is not None:
                best[1].client.end()
            best = (time, contestant)
        else:
            client.end()
    if best is None:
        raise reason or PeerError("it has no settings")
    return best[1]
