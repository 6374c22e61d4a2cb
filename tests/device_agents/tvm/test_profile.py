"""From a model to its table and to a run of it, on this machine's processor by the TVM agent: the way of a GPU."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.compiler.artifact import build_artifact, load_artifact
from hwaware.compiler.targets import Target
from hwaware.costs.predict import predict
from hwaware.costs.prediction import MEASURED
from hwaware.costs.row import ALONE, GRAPH, CellRow
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device, open_device
from hwaware.graph.capture import capture
from hwaware.profiling.cells import model_cells
from hwaware.profiling.profile import profile
from hwaware.profiling.run import run_artifact
from hwaware.profiling.target import target_of
from tests.compiler.families import case
from tests.compiler.inprocess import TOLERANCE, expected, relative_error
from tests.profiling.nets import tiny

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def device(devices_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Device]:
    """This machine, whose agents find TVM."""
    monkeypatch.setenv("HWAWARE_PYTHON", sys.executable)
    with open_device("local") as opened:
        yield opened


def by_tvm(device: Device, unit: str | None = None, *, integers: bool = False) -> Target:
    """The target of the processor, its kernels called through TVM's runtime."""
    return replace(target_of(device, unit, integers=integers), tvm=True)


def test_a_profile_becomes_a_table(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwaware.profiling.profile.target_of", by_tvm)
    # Each run loads TVM: as few of them as there may be.
    for name, value in (("_ROUNDS", 2), ("_AGAIN", 0), ("_LOOKS", 1)):
        monkeypatch.setattr(f"hwaware.profiling.whole.{name}", value)
    module, inputs = tiny()
    steps: list[str] = []
    made = profile(
        module, inputs, device, out=tmp_path / "table", name="tiny", rounds=1,
        on_progress=lambda _done, _total, what: steps.append(what),
    )  # fmt: skip
    table = CostTable.load(tmp_path / "table")
    assert table == replace(made, folder=table.folder)
    assert table.manifest.complete
    assert steps
    wanted = {cell.workload.key for cell in model_cells(capture(module, inputs), by_tvm(device).lanes)}
    assert {row.key for row in table.rows if row.state == ALONE} == wanted
    assert {row.state for row in table.rows} == {ALONE, GRAPH}
    assert [row for row in table.rows if not measured(row)] == []
    prediction = predict(module, inputs, table)
    assert {op.provenance for op in prediction.ops} == {MEASURED}
    assert prediction.memory_bytes["peak_rss"] > prediction.memory_bytes["weights"]
    assert not list(Path(device.transport.cache).glob("*/bundle*"))


def measured(row: CellRow) -> bool:
    return row.usable and row.n > 0 and bool(row.counts) and row.unit == "cpu"


@pytest.mark.parametrize("name", ["residual", "encoder"])
def test_an_artifact_runs(name: str, device: Device, tmp_path: Path) -> None:
    made = case(name, 1)
    built = build_artifact(made.module, made.inputs, by_tvm(device), tmp_path / "artifact", name=name)
    assert load_artifact(built.path) == built
    files = {path.name for path in built.path.iterdir()} - {"manifest.json"}
    assert files == set(built.manifest["files"]) == {"agent", "model.so", "weights.bin"}
    inputs = [value.numpy() for value in made.inputs]
    for per_op in (False, True):
        result = run_artifact(built, device, inputs=inputs, min_time_ms=1, min_count=3, per_op=per_op)
        for found, wanted in zip(result.outputs, expected(made), strict=True):
            assert relative_error(found, wanted) < TOLERANCE
        assert len(result.ops) == (len(built.manifest["ops"]) if per_op else 0)
    assert (result.weights, result.arena) == tuple(built.manifest["memory"].values())
