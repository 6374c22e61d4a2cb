"""Winograd convolutions in artifacts for ARM, under qemu, on more threads than tasks and on fewer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compiler.artifact import build_artifact
from hwaware.compiler.choice import Choice
from hwaware.compiler.targets import base_target
from hwaware.graph.workload import Workload
from tests.compiler.agents import run_model
from tests.compiler.inprocess import TOLERANCE, Case, expected, relative_error
from tests.compiler.test_cross import emulator

__all__ = ["emulator"]
pytestmark = pytest.mark.timeout(600)


class Winograd:
    """Chooses F(4×4, 3×3) by strips and F(2×2, 3×3) within one, by the layer's input channels."""

    def of(self, workload: Workload) -> Choice | None:
        if workload.kind != "conv2d":
            return None
        if workload.inputs[0].shape[-1] == 9:
            return Choice.of("winograd", tile=4, strip=3, tasks=3)
        return Choice.of("winograd", tile=2, tasks=2, split=1)


@pytest.mark.parametrize("machine", ["aarch64", "armv7"])
def test_the_artifact_agrees_with_pytorch(machine: str, emulator: Callable[[str], str], tmp_path: Path) -> None:
    qemu = emulator(machine)
    layers = (nn.Conv2d(9, 21, 3, padding=1), nn.ReLU6(), nn.Conv2d(21, 13, 3, padding=1), nn.ReLU())
    made = Case(nn.Sequential(*layers).eval(), (torch.randn(2, 9, 11, 7),))
    artifact = build_artifact(
        made.module, made.inputs, base_target(machine), tmp_path / "artifact", name="winograd", chooser=Winograd()
    )
    for threads in sorted({1, min(2, len(os.sched_getaffinity(0)))}):
        (found,), _ = run_model(artifact, made.inputs, tmp_path, threads=threads, runner=[qemu])
        assert relative_error(found, expected(made)[0]) < TOLERANCE
