"""A table of a processor and of the GPU beside it: cells of both, each answering for itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwaware.compiler.choice import Choice
from hwaware.compiler.effort import effort
from hwaware.compiler.target import CPU, GPU
from hwaware.costs.audit import Stored
from hwaware.costs.manifest import Manifest
from hwaware.costs.merge import Source, merge, write
from hwaware.costs.model import CostModel
from hwaware.costs.row import COLUMNS, CellRow
from hwaware.costs.table import CELLS, MANIFEST, CostTable
from hwaware.costs.units import apart, together
from hwaware.costs.validation import add_check, read_checks, validation_of
from hwaware.errors import MissingCostError, TableError
from tests.compiler.cuda.boards import ORIN
from tests.costs.checks import check
from tests.costs.tables import FINGERPRINT, conv, manifest, pool, row, table

ELEMENT = Choice.of("gpu_element", threads=256)
CPU_CHECK, GPU_CHECK = check(1.0, 1.01), check(0.2, 0.19, model="other")


def gpu_row(work: Any, ns: float, **fields: Any) -> CellRow:
    """A row of the GPU."""
    counts = tuple(map(float, effort(work, ORIN, ELEMENT)))
    return row(work, ns, schedule=str(ELEMENT), counts=counts, **fields)


def of_processor(**fields: Any) -> CostTable:
    return table([row(conv(4, 4), 1000.0), row(conv(4, 8), 2000.0), row(pool(4), 50.0)], models=("a",), **fields)


def of_gpu(**fields: Any) -> CostTable:
    toolchain = {"hwaware": "0.1.0", "arch": "sm_87"}
    known = {"target": ORIN.identity(), "toolchain": toolchain, "models": ("b",), "overhead_ns": 7.0, **fields}
    return table([gpu_row(conv(4, 4), 100.0), gpu_row(conv(4, 8), 110.0)], **known)


def sources() -> list[Source]:
    one, other = of_processor(), of_gpu(created="2024-02-01T00:00:00+00:00")
    return [Source("one", one, (CPU_CHECK,)), Source("other", other, (GPU_CHECK,))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table of both units, on disk."""
    write(merge(sources()), tmp_path / "both")
    return tmp_path / "both"


def test_a_row_says_what_computed() -> None:
    assert row(pool(4), 1.0).unit == CPU
    assert gpu_row(pool(4), 1.0).unit == GPU
    assert row(pool(4), 1.0).identity != gpu_row(pool(4), 1.0).identity
    assert "unit" not in COLUMNS  # the schedule says it


def test_both_come_back(folder: Path) -> None:
    both = CostTable.load(folder)
    assert (both.manifest.unit, both.manifest.units, both.manifest.cells) == (CPU, (CPU, GPU), 5)
    assert [item.unit for item in both.rows] == [CPU] * 3
    assert [item.unit for item in both.others] == [GPU] * 2
    gpu = both.of(GPU)
    assert (gpu.manifest.unit, gpu.rows, gpu.others) == (GPU, both.others, both.rows)
    assert gpu.of(CPU) == both
    assert (gpu.manifest.overhead_ns, gpu.manifest.models, gpu.lanes) == (7.0, ("b",), 32)
    assert len(both.to_pandas()) == 5


def test_whichever_answers_the_files_are_the_same(folder: Path, tmp_path: Path) -> None:
    both = CostTable.load(folder)
    for unit in (CPU, GPU):
        both.of(unit).save(tmp_path / unit)
    for unit in (CPU, GPU):
        assert (tmp_path / unit / CELLS).read_bytes() == (folder / CELLS).read_bytes()
    again = CostTable.load(tmp_path / GPU)
    assert again.manifest.unit == GPU
    assert again.of(CPU) == replace(both, folder=again.folder)


def test_each_unit_answers_from_its_own_cells(folder: Path) -> None:
    both = CostTable.load(folder)
    cpu, gpu = CostModel(both), CostModel(both.of(GPU))
    assert cpu.cost(conv(4, 4)).latency_ms == pytest.approx(1e-3, rel=0.01)
    assert gpu.cost(conv(4, 4)).latency_ms == pytest.approx(1e-4, rel=0.01)
    between = gpu.cost(conv(4, 6))
    assert between.provenance == "interpolated"
    assert 0.9e-4 < between.latency_ms < 1.2e-4
    assert cpu.cost(pool(4)).latency_ms == pytest.approx(5e-5, rel=0.01)
    with pytest.raises(MissingCostError, match="nothing of its family"):
        CostModel(both.of(GPU), beyond=False).cost(pool(4))
    assert str(both.of(GPU).choices.of(conv(4, 8))) == str(ELEMENT)
    assert both.choices.of(conv(4, 8)) != both.of(GPU).choices.of(conv(4, 8))


def test_a_unit_that_was_not_measured_is_refused() -> None:
    with pytest.raises(TableError, match=r"has no cells of its gpu: .*--unit gpu .*hwaware merge"):
        of_processor().of(GPU)


def test_checks_of_one_say_nothing_of_the_other(folder: Path) -> None:
    assert read_checks(folder) == read_checks(folder, CPU) == (CPU_CHECK,)
    assert read_checks(folder, GPU) == (GPU_CHECK,)
    more = check(0.3, 0.31, digest="1" * 64, model="third")
    add_check(folder, more, GPU)
    assert read_checks(folder, GPU) == (GPU_CHECK, more)
    assert read_checks(folder) == (CPU_CHECK,)
    stored = Manifest.load(folder / MANIFEST)
    assert stored.unit == CPU
    assert stored.of(GPU).validation == validation_of([GPU_CHECK, more])
    assert stored.validation == validation_of([CPU_CHECK])


def test_a_table_of_the_gpu_alone_keeps_its_checks_apart(tmp_path: Path) -> None:
    of_gpu().save(tmp_path)
    add_check(tmp_path, GPU_CHECK)
    assert (tmp_path / "validation-gpu.csv").exists()
    assert read_checks(tmp_path) == (GPU_CHECK,)
    assert read_checks(tmp_path, CPU) == ()


def test_they_are_taken_apart_and_put_together() -> None:
    parts = {CPU: of_processor(), GPU: of_gpu()}
    both = together(parts)
    for unit, one in apart(both).items():
        assert (one.rows, one.others, one.manifest.others) == (parts[unit].rows, (), {})
        assert one.manifest.part() == parts[unit].manifest.part()
    assert together(apart(both)) == both


def test_merging_is_by_unit(folder: Path) -> None:
    both = Source.read(folder)
    one, other = sources()
    for order in ([one, other], [other, one], [both, one], [other, both], [both, both]):
        found = merge(order)
        assert (set(found.table.rows), set(found.table.others)) == (set(both.table.rows), set(both.table.others))
        assert (set(found.checks), dict(found.others)) == (set(both.checks), dict(both.others))
        assert replace(found.table.manifest, cells_sha256="") == replace(both.table.manifest, cells_sha256="")
    better = of_gpu(created="2024-03-01T00:00:00+00:00")
    found = merge([both, Source("new", better)])
    assert found.table.of(GPU).manifest.created == better.manifest.created
    assert found.table.manifest.created == one.table.manifest.created


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fingerprint": {**FINGERPRINT, "cpus": 4}}, "device cpus"),
        ({"protocol": "as-shipped"}, "protocol"),
        ({"emulated": True}, "emulated"),
    ],
)
def test_units_of_different_devices_stay_apart(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError, match=f"cannot be merged: {said}"):
        merge([Source("one", of_processor()), Source("other", of_gpu(**fields))])


def test_toolchains_are_compared_unit_by_unit(folder: Path) -> None:
    other = of_gpu(toolchain={"hwaware": "0.1.0", "arch": "sm_72"})
    with pytest.raises(TableError, match="toolchain arch"):
        merge([Source.read(folder), Source("other", other)])


def damaged(folder: Path, **changes: Any) -> Path:
    path = folder / MANIFEST
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | changes))
    return folder


def test_damage_is_refused(folder: Path) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    part = document["others"][GPU]
    for others, said in (
        ({}, "says nothing of the gpu"),
        ({"npu": part}, "npu is not what its target computes on"),
        ({GPU: {**part, "target": document["target"]}}, "not what its target computes on"),
        ({GPU: {**part, "threads": 0}}, "threads"),
        ({GPU: []}, "others.gpu"),
    ):
        with pytest.raises(TableError, match=said):
            CostTable.load(damaged(folder, others=others))


def test_tables_of_version_3_are_read_as_they_are(tmp_path: Path) -> None:
    made = of_processor()
    made.save(tmp_path)
    document = json.loads((tmp_path / MANIFEST).read_text())
    del document["others"]
    (tmp_path / MANIFEST).write_text(json.dumps(document | {"schema_version": 3}))
    before = (tmp_path / CELLS).read_bytes()
    found = CostTable.load(tmp_path)
    assert found == made
    assert (found.manifest.unit, found.manifest.units) == (CPU, (CPU,))
    assert found.sealed() == found
    add_check(tmp_path, CPU_CHECK)
    assert CostTable.load(tmp_path).rows == made.rows
    assert (tmp_path / CELLS).read_bytes() == before


def test_a_prediction_remembers_its_unit(folder: Path) -> None:
    from hwaware.costs.prediction import Prediction

    stored = Stored.of(Prediction(1.0, (0.9, 1.1), {}, ()), CostTable.load(folder).of(GPU))
    assert (stored.unit, stored.document()["unit"]) == (GPU, GPU)
    assert stored.cells_sha256 == manifest_of(folder).cells_sha256


def manifest_of(folder: Path) -> Manifest:
    return Manifest.load(folder / MANIFEST)


def test_a_profile_does_not_go_on_with_a_merged_table(folder: Path) -> None:
    from hwaware.profiling.journal import Journal

    with pytest.raises(TableError, match=r"unit: 'cpu\+gpu' in the table, 'cpu' here"):
        Journal(folder, manifest(models=("a",)), resume=True)
