"""Profiles of a small net on this machine: whole, interrupted, resumed, refused."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import hwaware as hw
from hwaware.cli import main
from hwaware.compiler.choice import Variant
from hwaware.costs.predict import predict
from hwaware.costs.prediction import MEASURED, PREDICTED
from hwaware.costs.row import ALONE, FAILED, GRAPH, CellRow
from hwaware.costs.rows_file import RowsFile
from hwaware.costs.table import CELLS, JOURNAL, MANIFEST, CostTable
from hwaware.costs.validation import VALIDATION, read_checks
from hwaware.devices.device import Device
from hwaware.errors import BuildError, TableError
from hwaware.graph.capture import capture, capture_batched
from hwaware.graph.model import GraphModel
from hwaware.profiling import bench, building
from hwaware.profiling.cells import model_cells
from hwaware.profiling.journal import PART
from hwaware.profiling.profile import profile
from hwaware.profiling.target import target_of
from tests.profiling.nets import tiny


def wanted(device: Device) -> set[str]:
    module, inputs = tiny()
    return {cell.workload.key for cell in model_cells(capture(module, inputs), target_of(device).lanes)}


@pytest.fixture(scope="session")
def finished(profiling_home: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the small net, profiled through the command line."""
    out = tmp_path_factory.mktemp("tables") / "tiny"
    assert (
        main(
            [
                "profile",
                "tests/profiling/nets.py:tiny",
                "--device",
                "local",
                "--out",
                str(out),
                "--json",
                "--rounds",
                "1",
            ]
        )
        == 0
    )
    return out


def test_a_profile_measures_every_cell_once(finished: Path, local: Device) -> None:
    table = CostTable.load(finished)
    assert {row.key for row in table.rows if row.state == ALONE} == wanted(local)
    assert len({row.identity for row in table.rows}) == len(table.rows)
    assert {row.state for row in table.rows} == {ALONE, GRAPH}
    assert all(row.counts for row in table.rows)
    assert all(row.usable and row.n >= 30 for row in table.rows)
    assert table.manifest.complete
    assert table.manifest.models == ("nets.tiny",)
    assert all(row.displace_kb for row in table.rows if row.state == ALONE)
    assert sorted(path.name for path in finished.iterdir()) == [CELLS, MANIFEST, VALIDATION]
    assert table.lanes == target_of(local).lanes


def test_bundles_do_not_stay_on_the_device(finished: Path, local: Device) -> None:
    assert not list(Path(local.transport.cache).glob("*/bundle*"))


def test_the_model_is_predicted_from_measured_cells(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, inputs = tiny()
    prediction = predict(module, inputs, CostTable.load(finished))
    assert {op.provenance for op in prediction.ops} == {MEASURED}
    assert prediction.memory_bytes["weights"] >= 4 * sum(weight.numel() for weight in module.parameters())
    assert main(["predict", "tests/profiling/nets.py:tiny", "--table", str(finished), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["latency_ms"] == pytest.approx(prediction.latency_ms)
    assert main(["predict", "tests/profiling/nets.py:tiny", "--table", str(finished)]) == 0
    assert "dearest of" in capsys.readouterr().out


def test_predicting_another_model_is_flagged(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its dense layers were never measured at such widths, but dense layers were."""
    assert main(["predict", "zoo:lenet300", "--table", str(finished), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert PREDICTED in {op["provenance"] for op in document["ops"]}
    low, high = document["interval_ms"]
    assert high / low > 1.2


def test_finalists_are_run_in_turn_by_the_schedules_of_the_table(finished: Path, local: Device) -> None:
    module, inputs = tiny()
    model = GraphModel(capture_batched(module, inputs), inputs).eval()
    times = hw.measuring(local, CostTable.load(finished))([model, model])
    assert len(times) == 2
    assert all(ms > 0 for ms in times)
    assert 1 / 3 < times[0] / times[1] < 3


def test_a_finished_table_is_not_measured_again(finished: Path, local: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    before = CostTable.load(finished)
    module, inputs = tiny()
    with pytest.raises(TableError, match=r"finished cost table: add --resume"):
        profile(module, inputs, local, out=finished)
    monkeypatch.setattr(building, "build_bundle", lambda *_, **__: pytest.fail("something was built"))
    again = profile(module, inputs, local, out=finished, name="nets.tiny", resume=True, rounds=1)
    assert again.rows == before.rows
    # Nothing was measured, so nothing new is known of the conditions.
    assert again.manifest.conditions["frequency_locked"] == before.manifest.conditions["frequency_locked"]


def test_resuming_under_other_circumstances_is_refused(finished: Path, local: Device) -> None:
    module, inputs = tiny()
    with pytest.raises(TableError, match="threads: 1 in the table, 2 here"):
        profile(module, inputs, local, out=finished, resume=True, threads=2)
    with pytest.raises(TableError, match=r"protocol: 'pinned' in the table, 'as-shipped' here|min_count"):
        profile(module, inputs, local, out=finished, resume=True, protocol="as-shipped")
    assert CostTable.load(finished).manifest.threads == 1


def test_a_folder_with_other_things_is_left_alone(local: Device, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    module, inputs = tiny()
    with pytest.raises(TableError, match="choose another --out"):
        profile(module, inputs, local, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


_SCRIPT = """
import sys
from hwaware.cli import main
sys.exit(main(["profile", "tests/profiling/nets.py:tiny", "--device", "local", "--rounds", "0", "--out",
    sys.argv[1], *sys.argv[2:]]))
"""


def started(out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _SCRIPT, str(out), *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_rows(out: Path, count: int) -> None:
    deadline = time.monotonic() + 60
    while not (out / PART).exists() or (out / PART).read_bytes().count(b"\n") <= count:
        assert time.monotonic() < deadline, "the profile does not get on"
        time.sleep(0.002)


def test_killed_and_resumed_has_the_same_cells_none_twice(local: Device, tmp_path: Path) -> None:
    out = tmp_path / "table"
    with started(out) as process:
        wait_for_rows(out, 4)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    with pytest.raises(TableError, match=r"has not ended.*--resume"):
        CostTable.load(out)
    with RowsFile(out / PART, "") as file:
        kept = list(file.rows)
    assert kept
    # What a crash of the whole machine leaves: half a row.
    with (out / PART).open("a") as stream:
        stream.write('"conv2d|half a')
    module, inputs = tiny()
    with pytest.raises(TableError, match="has not ended: add --resume"):
        profile(module, inputs, local, out=out)
    table = profile(module, inputs, local, out=out, resume=True, rounds=0)
    keys = [row.key for row in table.rows]
    assert len(keys) == len(set(keys))
    assert set(keys) == wanted(local)
    found = {row.key: row for row in CostTable.load(out).rows}
    assert [found[row.key].samples_ns for row in kept if row.status == "ok"] == [
        row.samples_ns for row in kept if row.status == "ok"
    ]


def test_a_crash_while_finishing_loses_nothing(finished: Path, local: Device, tmp_path: Path) -> None:
    """Rows renamed already, manifest not yet written."""
    out = tmp_path / "table"
    out.mkdir()
    (out / CELLS).write_bytes((finished / CELLS).read_bytes())
    (out / JOURNAL).write_bytes((finished / MANIFEST).read_bytes())
    module, inputs = tiny()
    shutil.copy(finished / VALIDATION, out)
    table = profile(module, inputs, local, out=out, name="nets.tiny", resume=True, rounds=1)
    assert table.rows == CostTable.load(finished).rows
    assert sorted(path.name for path in out.iterdir()) == [CELLS, MANIFEST, VALIDATION]
    assert read_checks(out) == read_checks(finished)


def test_what_cannot_be_built_is_a_failed_cell(local: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = building.build_bundle
    bad = sorted(wanted(local))[3]

    def build(variants: list[Variant], *rest: object, **options: object) -> Path:
        if any(one.workload.key == bad for one in variants):
            raise BuildError("code generation failed: no registers")
        return real(variants, *rest, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(building, "build_bundle", build)
    module, inputs = tiny()
    rows: dict[str, CellRow] = {
        row.key: row for row in profile(module, inputs, local, out=tmp_path / "t", rounds=0).rows
    }
    assert set(rows) == wanted(local)
    assert [key for key, row in rows.items() if row.status == FAILED] == [bad]
    assert rows[bad].reason == "code generation failed: no registers"
    monkeypatch.undo()
    again = profile(module, inputs, local, out=tmp_path / "t", rounds=0, resume=True)
    assert len({row.identity for row in again.rows}) == len(again.rows) == len(rows)
    assert all(row.usable for row in again.rows)


def test_a_budget_ends_the_profile_with_the_model_itself(
    local: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, inputs = tiny()
    out = tmp_path / "table"
    with pytest.raises(TableError, match="larger --budget"):
        profile(module, inputs, local, out=out, budget_s=0.01)
    looks = itertools.count()

    def look(_self: bench.Bench) -> None:
        # Once a bundle and once a line: the five cells of the model itself, then a few more.
        if next(looks) > 10:
            raise bench.OutOfTime

    with monkeypatch.context() as patch:
        patch.setattr(bench.Bench, "_check_time", look)
        table = profile(module, inputs, local, out=out, resume=True, rounds=0)
    assert not table.manifest.complete
    assert len(table.rows) < len(wanted(local))
    assert predict(module, inputs, CostTable.load(out)).latency_ms > 0
    assert {row.key for row in profile(module, inputs, local, out=out, resume=True, rounds=0).rows} == wanted(local)
    assert CostTable.load(out).manifest.complete


@pytest.mark.parametrize("words", [["--budget", "soon"], ["--threads", "0"], ["--protocol", "turbo"]])
def test_wrong_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["profile", "zoo:lenet5", "--device", "local", *words])
    assert caught.value.code == 2
    assert words[0] in capsys.readouterr().err
