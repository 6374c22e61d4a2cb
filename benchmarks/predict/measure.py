"""Compiled variants in turn, in several rounds of random order: end to end, then op by op.

What a slow spell of the machine has touched is not what is asked: samples are taken in what the table calls calm
moments, and a variant that too few rounds agree on is run again. Some rounds take every moment, to say what that
changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
import torch

from benchmarks.peers.compare import largest_error, reference_outputs
from benchmarks.predict.outcome import Measured, OpTime
from hwaware.compiler.artifact import Artifact
from hwaware.devices.device import Device
from hwaware.profiling.calm import Calm
from hwaware.profiling.run import RunResult, run_artifact
from hwaware.profiling.spells import ENOUGH, agreeing, undisturbed, wanting
from hwaware.reference import LoadedModel
from hwaware.statistics import summarise

# Of a small model a round gives thousands of samples; the bootstrap needs no more than these, evenly spread.
_SAMPLES_A_ROUND = 300
# Rounds in which operations are timed too, and all samples kept whatever the moment.
_BY_OP = 3


@dataclass(frozen=True)
class Effort:
    """Rounds, and of every variant in each of them milliseconds and samples at least; at most `again` more rounds."""

    rounds: int = 6
    ms: int = 60
    least: int = 20
    again: int = 6


def measure(
    artifacts: Sequence[Artifact],
    device: Device,
    threads: int,
    effort: Effort,
    seed: int,
    calm: Calm | None,
    tell: Callable[[str], None],
) -> list[Measured]:
    """Each artifact's times, in the order given. Raises DeviceError.

    `calm` is what told the calm moments of the table.
    """
    rng = random.Random(seed)  # noqa: S311 - the order of measuring is no secret
    whole: list[list[RunResult]] = [[] for _ in artifacts]
    by_op: list[list[RunResult]] = [[] for _ in artifacts]
    anyhow: list[list[RunResult]] = [[] for _ in artifacts]
    half = replace(effort, ms=effort.ms // 2)
    for number in range(effort.rounds + effort.again):
        asked = [index for index, runs in enumerate(whole) if _wanting(runs, effort.rounds)]
        for index in rng.sample(asked, len(asked)):
            whole[index].append(_run(artifacts[index], device, threads, effort, calm))
            if number < _BY_OP:
                # Timing every op slows the run, so it has runs of its own; they only say where an error comes from.
                by_op[index].append(_run(artifacts[index], device, threads, half, calm, per_op=True))
                anyhow[index].append(_run(artifacts[index], device, threads, effort, None))
        if asked:
            tell(f"measured, round {number + 1}: {len(asked)} of {len(artifacts)}")
    return [measured(*runs) for runs in zip(whole, by_op, anyhow, strict=True)]


def _wanting(runs: Sequence[RunResult], planned: int) -> bool:
    return len(runs) < planned or wanting([run.samples_ns for run in _calm(runs)], min(planned, ENOUGH))


def _calm(runs: Sequence[RunResult]) -> list[RunResult]:
    return [run for run in runs if run.around.calm is not False]


def _run(
    artifact: Artifact, device: Device, threads: int, effort: Effort, calm: Calm | None, per_op: bool = False
) -> RunResult:
    return run_artifact(
        artifact, device, threads=threads, per_op=per_op, min_time_ms=effort.ms, min_count=effort.least, calm=calm
    )


def measured(whole: Sequence[RunResult], by_op: Sequence[RunResult], anyhow: Sequence[RunResult]) -> Measured:
    """What a variant's rounds come to: the median of the undisturbed samples with its interval, the peak's median."""
    good = _calm(whole) or whole
    masks = undisturbed([run.samples_ns for run in good])
    kept = [np.asarray(run.samples_ns)[mask] for run, mask in zip(good, masks, strict=True)]
    thinned = [samples[:: max(1, len(samples) // _SAMPLES_A_ROUND)] for samples in kept]
    low, high = summarise([float(sample) / 1e6 for samples in thinned for sample in samples]).ci95
    ms = float(np.median(np.concatenate(kept))) / 1e6
    peaks = [result.peak_rss for result in whole if result.peak_rss is not None]
    sentinels = [time for result in whole for time in result.around.sentinels_ns]
    ops = zip(*(result.ops for result in by_op), strict=True)
    return Measured(
        ms=ms,
        rounds_ms=tuple(map(_median_ms, whole)),
        any_ms=median(map(_median_ms, anyhow)),
        disturbed=1 - sum(map(len, kept)) / sum(len(result.samples_ns) for result in good),
        agreeing=agreeing(masks),
        ci95_ms=(min(low, ms), max(high, ms)),
        peak_rss=int(median(peaks)) if peaks else None,
        sentinel_ns=median(sentinels),
        ops=tuple(OpTime(op[0].name, op[0].key, median(median(turn.samples_ns) for turn in op) / 1e6) for op in ops),
    )


def _median_ms(result: RunResult) -> float:
    return median(result.samples_ns) / 1e6


def compared(result: Measured, artifact: Artifact, model: LoadedModel, device: Device, threads: int) -> Measured:
    """`result` with how far the artifact's outputs are from those of PyTorch for random inputs."""
    inputs = [torch.randn_like(value) for value in model.example_inputs]
    given: list[np.ndarray] = [value.numpy() for value in inputs]
    ran = run_artifact(artifact, device, threads=threads, inputs=given, min_time_ms=1, min_count=1)
    return replace(result, output_error=largest_error(ran.outputs, reference_outputs(model, inputs)))
