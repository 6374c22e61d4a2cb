"""Integer convolutions and dense layers of artifacts for ARM, each on the oldest core that its code may run on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from hwaware.compiler.artifact import Artifact, build_artifact
from hwaware.compiler.targets import base_target
from hwaware.graph.model import GraphModel
from tests.compiler.agents import run_model
from tests.compiler.integer_layers import ANY, LAYERS, SOME, Layer, extremes, model, random_values
from tests.compiler.test_cross import emulator

__all__ = ["emulator"]
# The first use of a target builds its C library.
pytestmark = pytest.mark.timeout(600)

# An instruction that a core lacks ends the process. One target of each way to multiply tries all layers.
CORES = [
    ("aarch64-a53", "cortex-a53", LAYERS),
    ("aarch64-a72", "cortex-a72", SOME),
    ("aarch64-a76-dotprod", "cortex-a76", LAYERS),
    ("aarch64-a76-i8mm", "max", LAYERS),
    ("armv7", "cortex-a7", LAYERS),
    ("armv7-neon", "cortex-a9", SOME),
]


def _built(made: GraphModel, target: str, folder: Path) -> Artifact:
    return build_artifact(made, made.example_inputs, base_target(target), folder / "artifact", name="integers")


@pytest.mark.parametrize(("target", "core", "layers"), CORES, ids=[name for name, *_ in CORES])
def test_sums_are_exact_on_the_core(
    target: str, core: str, layers: Sequence[Layer], emulator: Callable[[str], str], tmp_path: Path
) -> None:
    qemu = emulator(target.partition("-")[0])
    largest, values = extremes(ANY)
    made = model([*layers, *largest], [*random_values(layers, 3, ANY), *values])
    results, _ = run_model(_built(made, target, tmp_path), made.example_inputs, tmp_path, runner=[qemu, "-cpu", core])
    with torch.no_grad():
        wanted = made(*made.example_inputs)
    for layer, found, right in zip([*layers, *largest], results, wanted, strict=True):
        assert np.array_equal(found, right.numpy()), layer


@pytest.mark.parametrize(("target", "core"), [("aarch64-dotprod", "cortex-a72"), ("aarch64-i8mm", "cortex-a76")])
def test_a_core_without_the_instruction_stops(
    target: str, core: str, emulator: Callable[[str], str], tmp_path: Path
) -> None:
    """So that the test above tells."""
    qemu = emulator("aarch64")
    made = model(LAYERS[-2:], random_values(LAYERS[-2:], 4, ANY))
    artifact = _built(made, target, tmp_path)
    with pytest.raises(AssertionError, match="SIGILL"):
        run_model(artifact, made.example_inputs, tmp_path, runner=[qemu, "-cpu", core])
