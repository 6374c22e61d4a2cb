"""Which of a device's units a model is compiled for, and which artifacts run there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwaware.compiler.artifact import Artifact
from hwaware.compiler.cuda.target import CudaTarget, cuda_target
from hwaware.compiler.target import CPU, GPU
from hwaware.compiler.targets import Target, base_target
from hwaware.errors import ArtifactError, DeviceError
from hwaware.profiling.target import check_runs_on, target_of
from tests.compiler.test_targets import ARMV8
from tests.devices.test_gpu import ORIN
from tests.profiling.test_target import board


def jetson(*, integrated: bool = True, capability: str = "8.7") -> Any:
    plain = board("aarch64", ARMV8)
    gpu = replace(ORIN, integrated=integrated, compute_capability=capability)
    return replace(plain, told=replace(plain.told, gpu=gpu))


def artifact(target: Target) -> Artifact:
    return Artifact(Path("made"), {"target": target.identity()})


def gpu_artifact(capability: str) -> Artifact:
    return artifact(cuda_target(base_target("aarch64"), capability))


def test_a_jetson_computes_on_its_gpu_unless_told_otherwise() -> None:
    target = target_of(jetson())
    assert isinstance(target, CudaTarget)
    assert (target.arch, target.unit, target.tvm) == ("sm_87", GPU, True)
    assert target_of(jetson(), CPU) == target_of(board("aarch64", ARMV8))


def test_a_card_is_used_where_it_is_asked_for() -> None:
    assert target_of(jetson(integrated=False)).unit == CPU
    assert target_of(jetson(integrated=False), GPU).unit == GPU


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(DeviceError, match="tells of no GPU"):
        target_of(board("aarch64", ARMV8), GPU)
    with pytest.raises(DeviceError, match="no unit is called 'npu': choose one of cpu, gpu"):
        target_of(jetson(), "npu")


@pytest.mark.parametrize("capability", ["8.7", "8.0", "7.5"])
def test_code_for_this_gpu_or_an_earlier_one_runs(capability: str) -> None:
    check_runs_on(gpu_artifact(capability), jetson())


def test_code_for_the_processor_runs_beside_a_gpu() -> None:
    check_runs_on(artifact(base_target("aarch64")), jetson())


def test_other_code_does_not() -> None:
    with pytest.raises(ArtifactError, match=r"aarch64\+sm_90, device board is aarch64.*\+sm_87"):
        check_runs_on(gpu_artifact("9.0"), jetson())
    with pytest.raises(ArtifactError, match="tells of none"):
        check_runs_on(gpu_artifact("8.7"), board("aarch64", ARMV8))
    with pytest.raises(ArtifactError, match="x86_64"):
        check_runs_on(artifact(cuda_target(base_target("x86_64"), "8.7")), jetson())
