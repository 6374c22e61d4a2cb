"""Every family of models compiles and agrees with PyTorch: in this process and as an artifact that an agent runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hwaware.compiler.artifact import build_artifact
from hwaware.compiler.targets import Target, base_target
from hwaware.devices.device import open_device
from hwaware.profiling.run import run_artifact
from hwaware.profiling.target import target_of
from tests.compiler.agents import run_model
from tests.compiler.families import FAMILIES, case, program_of
from tests.compiler.inprocess import TOLERANCE, expected, relative_error, run_programs

# Also for a batch of one: where one pixel, or a whole image, is all there is of a dimension.
ALONE = ("inverted", "unet", "encoder", "inception", "shuffle")


@pytest.fixture(scope="module")
def local_target() -> Target:
    """The target of this machine, from the facts its agent gives."""
    with open_device("local") as device:
        return target_of(device)


def test_kernels_for_any_processor_agree_with_pytorch() -> None:
    """Without AVX: every third family, as the schedules are those that the artifacts have."""
    names = tuple(FAMILIES)[::3]
    known = [program_of(name, 1) for name in names]
    results = run_programs([program for _, program in known], [made.inputs for made, _ in known], base_target("x86_64"))
    for name, (made, _), given in zip(names, known, results, strict=True):
        for found, wanted in zip(given, expected(made), strict=True):
            assert relative_error(found, wanted) < TOLERANCE, name


@pytest.mark.parametrize(
    ("name", "batch"),
    [*((name, 2) for name in FAMILIES), *((name, 1) for name in ALONE)],
)
def test_the_artifact_agrees_with_pytorch(name: str, batch: int, local_target: Target, tmp_path: Path) -> None:
    made = case(name, batch)
    artifact = build_artifact(made.module, made.inputs, local_target, tmp_path / "artifact", name=name)
    for threads in (1, 2):
        fresh = case(name, batch)
        results, lines = run_model(artifact, fresh.inputs, tmp_path, threads=threads)
        assert lines[0]["threads"] == threads
        for found, wanted in zip(results, expected(fresh), strict=True):
            assert relative_error(found, wanted) < TOLERANCE


def test_a_device_runs_the_artifact(tmp_path: Path, devices_home: Path) -> None:
    made = case("unet", 2)
    with open_device("local") as device:
        artifact = build_artifact(made.module, made.inputs, target_of(device), tmp_path / "unet", name="unet")
        result = run_artifact(
            artifact, device, inputs=[value.numpy() for value in made.inputs], per_op=True, min_time_ms=1, min_count=2
        )
    assert relative_error(result.outputs[0], expected(made)[0]) < TOLERANCE
    assert [(op.name, op.key) for op in result.ops] == [(op["name"], op["key"]) for op in artifact.manifest["ops"]]
    assert (result.weights, result.arena) == (
        artifact.manifest["memory"]["weights"],
        artifact.manifest["memory"]["arena"],
    )


def test_results_do_not_depend_on_the_thread_count(local_target: Target, tmp_path: Path) -> None:
    made = case("residual", 2)
    artifact = build_artifact(made.module, made.inputs, local_target, tmp_path / "artifact", name="residual")
    one, two = (run_model(artifact, made.inputs, tmp_path, threads=threads)[0][0] for threads in (1, 2))
    assert torch.equal(torch.from_numpy(one), torch.from_numpy(two))
