"""Artifacts for other processors, linked by zig and run under qemu's user emulation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.compiler.artifact import Artifact, build_artifact
from hwaware.compiler.link import bare_agent
from hwaware.compiler.targets import base_target
from tests.compiler.agents import run_model
from tests.compiler.families import case
from tests.compiler.inprocess import TOLERANCE, Case, expected, relative_error
from tests.compiler.test_activations import ACTIVATIONS
from tests.device_agents.building import run_agent
from tests.requirements import need

MACHINES = {"aarch64": "qemu-aarch64-static", "armv7": "qemu-arm-static", "riscv64": "qemu-riscv64-static"}
UNAME = {"aarch64": "aarch64", "armv7": "armv7l", "riscv64": "riscv64"}
# Code for one core on another: the oldest of its family, or one that lacks what a newer one has.
CORES = [
    ("aarch64-a53", "cortex-a53"),
    ("aarch64-a72", "cortex-a72"),
    ("aarch64-a76", "cortex-a53"),
    ("armv7", "cortex-a7"),
    ("armv7-neon", "cortex-a8"),
    ("armv7-neon", "cortex-a9"),
]
# The first use of a target builds its C library.
pytestmark = pytest.mark.timeout(600)


def activations(_batch: int) -> Case:
    """Every activation, applied to as many slices of one input."""

    class Each(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList(ACTIVATIONS.values())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.stack([layer(x[index]) for index, layer in enumerate(self.layers)])

    return Case(Each().eval(), (torch.randn(len(ACTIVATIONS), 2, 23) * 4,))


CASES: dict[str, Callable[[int], Case]] = {
    "inverted": lambda batch: case("inverted", batch),
    "fires": lambda batch: case("fires", batch),
    "encoder": lambda batch: case("encoder", batch),
    "activations": activations,
}


@pytest.fixture(scope="session")
def emulator() -> Callable[[str], str]:
    """The emulator of a target, with the target's C library built."""

    def ready(name: str) -> str:
        found = need(MACHINES[name], package="qemu-user-static")
        bare_agent(UNAME[name])
        return found

    return ready


# tests/boards runs every family on ARM.
@pytest.mark.parametrize(
    ("machine", "name"),
    [*(("riscv64", name) for name in CASES), *((m, n) for m in ("aarch64", "armv7") for n in ("fires", "activations"))],
)
def test_the_artifact_agrees_with_pytorch(
    machine: str, name: str, emulator: Callable[[str], str], tmp_path: Path
) -> None:
    qemu = emulator(machine)
    made = CASES[name](2)
    artifact: Artifact = build_artifact(
        made.module, made.inputs, base_target(machine), tmp_path / "artifact", name=name
    )
    results, lines = run_model(artifact, made.inputs, tmp_path, threads=2, runner=[qemu])
    assert lines[0]["threads"] == 2
    for found, wanted in zip(results, expected(made), strict=True):
        assert relative_error(found, wanted) < TOLERANCE


@pytest.mark.parametrize(("target", "core"), CORES)
def test_code_for_a_core_runs_on_it(target: str, core: str, emulator: Callable[[str], str], tmp_path: Path) -> None:
    qemu = emulator(target.split("-", maxsplit=1)[0])
    made = CASES["inverted"](1)
    artifact = build_artifact(made.module, made.inputs, base_target(target), tmp_path / "artifact", name=core)
    results, _ = run_model(artifact, made.inputs, tmp_path, runner=[qemu, "-cpu", core])
    for found, wanted in zip(results, expected(made), strict=True):
        assert relative_error(found, wanted) < TOLERANCE


@pytest.mark.parametrize("machine", MACHINES)
def test_the_bare_agent_knows_where_it_runs(machine: str, emulator: Callable[[str], str], tmp_path: Path) -> None:
    qemu = emulator(machine)
    script = tmp_path / "agent"
    script.write_text(f'#!/bin/sh\nexec "{qemu}" "{bare_agent(UNAME[machine])}" "$@"\n')
    script.chmod(0o755)
    assert run_agent(script, "info").one("info")["arch"] == UNAME[machine]
