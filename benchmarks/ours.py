"""Our side of the benchmarks: one model compiled for this machine, its schedules chosen by measuring here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import hwaware
from hwaware.compiler.artifact import Artifact
from hwaware.devices.device import Device
from hwaware.profiling.run import run_artifact
from hwaware.reference import LoadedModel


@dataclass(frozen=True)
class Ours:
    """A compiled model and the number of threads it is measured with."""

    artifact: Artifact
    device: Device
    threads: int

    def check(self, inputs: Sequence[np.ndarray]) -> tuple[list[np.ndarray], int | None]:
        """Outputs for `inputs`, and the agent's peak resident bytes from before its memory was allocated."""
        result = run_artifact(
            self.artifact, self.device, threads=self.threads, inputs=list(inputs), min_time_ms=1, min_count=1
        )
        return list(result.outputs), result.peak_rss

    def sample(self, seconds: float, least: int) -> list[float]:
        """Milliseconds of each call, measured by the agent after its own warm-up."""
        result = run_artifact(
            self.artifact, self.device, threads=self.threads, min_time_ms=int(seconds * 1000), min_count=least
        )
        return [ns / 1e6 for ns in result.samples_ns]


def build(model: LoadedModel, device: Device, threads: int, folder: Path) -> Ours:
    """Compile `model` into `folder` for `device` and `threads`."""
    artifact = hwaware.compile(
        model.module, model.example_inputs, device, out=folder, name=model.name, tune=True, threads=threads
    )
    return Ours(artifact, device, threads)
