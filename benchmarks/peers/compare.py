"""One row: our model and every peer in turn, several rounds, each round beginning with the next of them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.ours import Ours
from benchmarks.peers.lineup import Contestant, line_up
from benchmarks.peers.peer import Peer
from benchmarks.peers.result import TOLERANCE, PeerResult, Row
from hwaware.reference import LoadedModel
from hwaware.statistics import median_ratio

# Of a small model a round gives thousands of samples; the bootstrap needs no more than these, evenly spread.
SAMPLES_A_ROUND = 300
OURS = "ours"


@dataclass(frozen=True)
class Effort:
    """How long to measure; `quiet` is held while a round's samples are taken."""

    rounds: int
    seconds: float  # of each side in each round
    least: int  # samples of each side in each round
    quiet: Callable[[], AbstractContextManager[object]]


def compare(
    model: LoadedModel,
    ours: Ours,
    peers: Sequence[Peer],
    folder: Path,
    failed: Mapping[str, str],
    call_ms: Mapping[str, float],
    effort: Effort,
) -> Row:
    """Measure one row; `folder` holds the converted model, `failed` the reasons of those that could not convert it."""
    inputs = [torch.randn_like(value) for value in model.example_inputs]
    given = [value.numpy() for value in inputs]
    expected = reference_outputs(model, inputs)
    outputs, peak = ours.check(given)
    with ExitStack() as stack:
        ready, reasons = line_up(peers, folder, given, len(expected), ours.threads, stack, failed)
        samples = _rounds(ours, ready, effort)
        results = tuple(
            _result(peer.name, ready[peer.name], samples, expected, call_ms.get(peer.name))
            if peer.name in ready
            else PeerResult(peer.name, reasons[peer.name])
            for peer in peers
        )
    return Row(
        model.name, ours.threads, float(np.median(samples[OURS])), largest_error(outputs, expected), peak, results
    )


def reference_outputs(model: LoadedModel, inputs: Sequence[torch.Tensor]) -> list[np.ndarray]:
    """What PyTorch computes in float32."""
    with torch.no_grad():
        result = copy.deepcopy(model.module)(*inputs)
    return [value.numpy() for value in (result if isinstance(result, list | tuple) else (result,))]


def largest_error(outputs: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> float:
    """Largest difference relative to the largest expected value of the same output; infinite for other shapes."""
    if [value.shape for value in outputs] != [value.shape for value in expected]:
        return float("inf")
    return max(float(np.abs(a - b).max() / max(np.abs(b).max(), 1e-30)) for a, b in zip(outputs, expected, strict=True))


def _rounds(ours: Ours, ready: Mapping[str, Contestant], effort: Effort) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {OURS: [], **{name: [] for name in ready}}
    names = list(samples)
    for number in range(effort.rounds):
        start = number % len(names)
        with effort.quiet():
            for name in names[start:] + names[:start]:
                taken = (
                    ours.sample(effort.seconds, effort.least)
                    if name == OURS
                    else _turn(ready[name], effort.seconds, effort.least)
                )
                samples[name] += taken[:: max(1, len(taken) // SAMPLES_A_ROUND)]
    return samples


def _turn(contestant: Contestant, seconds: float, least: int) -> list[float]:
    samples = contestant.client.sample(seconds, least)
    contestant.client.pause()
    return samples


def _result(
    name: str,
    contestant: Contestant,
    samples: Mapping[str, list[float]],
    expected: Sequence[np.ndarray],
    call_ms: float | None,
) -> PeerResult:
    error = largest_error(contestant.outputs, expected)
    peak_load, peak_run = contestant.client.memory()
    return PeerResult(
        name=name,
        reason=None if error <= TOLERANCE else f"its output is off by {error:.1e}",
        setting=contestant.setting,
        ms=float(np.median(samples[name])),
        times_faster=median_ratio(samples[OURS], samples[name]),
        call_ms=call_ms,
        output_error=error,
        memory_before=contestant.memory_before,
        peak_load=max(0, peak_load - contestant.memory_before),
        peak_run=max(0, peak_run - contestant.memory_before),
    )
