"""Runs an artifact's agent directly, under an emulator where the machine is another."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from hwaware.compiler.artifact import Artifact


def run_model(
    artifact: Artifact,
    inputs: Sequence[torch.Tensor],
    folder: Path,
    *,
    threads: int = 1,
    runner: Sequence[str] = (),
    options: Sequence[str] = (),
) -> tuple[list[np.ndarray], list[dict]]:
    """The model's outputs for `inputs` and the agent's lines."""
    command = [*runner, str(artifact.agent), "run", "--threads", str(threads)]
    command += ["--min-time-ms", "0", "--min-count", "2", "--max-count", "2", *options]
    for index, value in enumerate(inputs):
        np.save(folder / f"in{index}.npy", value.numpy())
        command += ["--input", str(folder / f"in{index}.npy")]
    outputs = [folder / f"out{index}.npy" for index in range(len(artifact.manifest["outputs"]))]
    for path in outputs:
        command += ["--output", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return [np.load(path) for path in outputs], lines
