"""A board's instructions for 8-bit integers: in tables that know integers, and in what is compiled by them alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwaware.api import compile as compile_for
from hwaware.compiler.targets import restored_target
from hwaware.compression.quantize.structure import uniform
from hwaware.costs.predict import predict
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from hwaware.graph.capture import capture
from hwaware.graph.model import GraphModel
from hwaware.profiling.profile import profile
from hwaware.profiling.run import run_artifact
from hwaware.profiling.target import target_of
from tests.compiler.inprocess import relative_error
from tests.profiling.nets import tiny
from tests.sshd import Sshd

pytestmark = pytest.mark.timeout(600)  # the first use of a target builds its C library


def test_a_table_with_integers_is_of_code_with_their_instructions(boards: dict[str, Sshd], tmp_path: Path) -> None:
    module, inputs = tiny()
    with open_device("aarch64") as device:
        plain, extended = target_of(device), target_of(device, integers=True)
        assert extended.name.removeprefix(plain.name) in ("-i8mm", "-dotprod")
        table = profile(module, inputs, device, out=tmp_path / "table", rounds=0, precisions=("int8",))
        assert restored_target(table.manifest.target) == extended
        assert CostTable.load(tmp_path / "table").manifest.target == extended.identity()
        model = GraphModel(uniform(capture(module, inputs), "int8"), inputs).eval()
        assert predict(model, inputs, table).latency_ms > 0
        artifact = compile_for(model, inputs, device, out=tmp_path / "artifact", table=table)
        assert artifact.manifest["target"]["name"] == extended.name
        arrays = [value.numpy() for value in inputs]
        (found,) = run_artifact(artifact, device, inputs=arrays, min_time_ms=1, min_count=1).outputs
        assert relative_error(found, model(*inputs).numpy()) == 0
        floats = compile_for(module, inputs, device, out=tmp_path / "floats")
        assert floats.manifest["target"]["name"] == plain.name
