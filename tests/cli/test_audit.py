"""From a table through `compile`, `run` and `predict`: the table's answer is kept, audited and its error told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import hwaware
from hwaware.cli import main
from hwaware.costs.table import CostTable
from hwaware.costs.validation import read_checks
from hwaware.graph.capture import capture
from hwaware.graph.model import GraphModel
from hwaware.graph.store import save
from hwaware.reports.latency_report import LatencyReport
from tests.cli.local_table import NET, OP_NS, write_local_table
from tests.profiling.nets import tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``table`` and the ``net`` that was compiled with it."""
    folder = tmp_path_factory.mktemp("audit")
    write_local_table(folder / "table", models=("another net",))
    done = main(["compile", NET, "--device", "local", "--table", str(folder / "table"), "--out", str(folder / "net")])
    assert done == 0
    return folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of its table; the artifact knows the original's place only."""
    shutil.copytree(made / "table", tmp_path / "table")
    return tmp_path / "table"


def run(made: Path, *words: str) -> int:
    return main(["run", str(made / "net"), "--device", "local", *words])


def test_the_artifact_carries_the_answer(made: Path) -> None:
    kept = json.loads((made / "net" / "manifest.json").read_text())["extra"]["predicted"]
    table = CostTable.load(made / "table")
    assert kept["table"] == str((made / "table").resolve())
    assert kept["cells_sha256"] == table.manifest.cells_sha256
    assert kept["latency_ms"] == pytest.approx(len(kept["ops"]) * OP_NS / 1e6)
    assert kept["peak_rss"] > 8000
    assert {op["provenance"] for op in kept["ops"]} == {"measured"}


def test_the_library_keeps_the_same_answer(made: Path, tmp_path: Path) -> None:
    table = CostTable.load(made / "table")
    module, inputs = tiny()
    with hwaware.device("local") as device:
        artifact = hwaware.compile(module, inputs, device, out=tmp_path / "net", table=table)
        with pytest.warns(UserWarning, match="goes without a prediction: the cost table of local has no cost"):
            bare = hwaware.compile(
                module, inputs, device, out=tmp_path / "bare", table=replace(table, rows=table.rows[:1])
            )
    by_command = json.loads((made / "net" / "manifest.json").read_text())["extra"]["predicted"]
    assert json.loads(json.dumps(artifact.manifest["extra"]["predicted"])) == by_command
    assert "predicted" not in bare.manifest["extra"]


def test_a_run_is_audited_and_added(
    made: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (place / "cells.csv").read_bytes()
    assert run(made, "--per-op", "--table", str(place), "--report", str(tmp_path / "report.json")) == 0
    out, err = capsys.readouterr()
    assert "of measured" in out
    assert "operations within ±10 % of measured" in out
    assert f"added to the validation of {place} as a held-out model: of 1 held-out model" in err
    (check,) = read_checks(place)
    report = LatencyReport.load(tmp_path / "report.json")
    assert report.predicted is not None
    assert report.predicted.error == pytest.approx(check.error)
    assert check.measured_ms == report.latency_ms.p50
    assert {op.name: op.measured_ms for op in report.predicted.ops} == {op.name: op.p50_ms for op in report.ops}
    assert CostTable.load(place).manifest.validation is not None
    assert (place / "cells.csv").read_bytes() == before
    assert read_checks(made / "table") == ()


def test_predict_tells_how_far_it_was_off(made: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", NET, "--table", str(place)]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "not validated yet: `hwaware run`" in out
    assert f"operations: {len(CostTable.load(place).rows)} measured; the dearest" in out
    assert "peak resident" in out
    assert run(made, "--table", str(place)) == 0
    capsys.readouterr()
    assert main(words) == 0
    assert "accuracy: of 1 held-out model measured on this table" in capsys.readouterr().out
    assert main([*words, "--json"]) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert document["validation"]["n"] == 1
    assert document["memory_bytes"]["peak_rss"] > document["memory_bytes"]["weights"]


def test_no_audit_leaves_the_table_alone(made: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(made, "--no-audit", "--table", str(place)) == 0
    out, err = capsys.readouterr()
    assert "predicted" in out
    assert "added" not in err
    assert read_checks(place) == ()


def test_a_table_that_does_not_fit_is_one_note(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "two"
    write_local_table(other, threads=2)
    assert run(made, "--table", str(other)) == 0
    err = capsys.readouterr().err
    assert [line for line in err.splitlines() if "not added" in line and "threads: 2 in the table, 1 here" in line]
    assert run(made, "--table", str(tmp_path / "nowhere")) == 0
    assert "not added to a table's validation" in capsys.readouterr().err
    assert read_checks(other) == ()


def test_a_run_the_prediction_is_not_for_has_none(
    made: Path, place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(made, "--threads", "2", "--table", str(place), "--report", str(tmp_path / "report.json")) == 0
    assert "not audited" in capsys.readouterr().err
    assert LatencyReport.load(tmp_path / "report.json").predicted is None
    assert read_checks(place) == ()


def test_a_table_that_cannot_answer_is_a_note_of_compile(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = CostTable.load(made / "table")
    CostTable(table.manifest, table.rows[:1]).save(tmp_path / "table")
    words = ["compile", NET, "--device", "local", "--table", str(tmp_path / "table"), "--out", str(tmp_path / "net")]
    assert main(words) == 0
    assert "the artifact goes without a prediction: the cost table of local has no cost" in capsys.readouterr().err
    assert "predicted" not in json.loads((tmp_path / "net" / "manifest.json").read_text())["extra"]


def test_a_compressed_model_is_predicted_by_the_table_beside_it(made: Path, tmp_path: Path) -> None:
    module, inputs = tiny()
    save(GraphModel(capture(module, inputs)), tmp_path / "small")
    shutil.copytree(made / "table", tmp_path / "small" / "table")
    words = ["compile", str(tmp_path / "small"), "--device", "local", "--out", str(tmp_path / "net")]
    assert main(words) == 0
    kept = json.loads((tmp_path / "net" / "manifest.json").read_text())["extra"]["predicted"]
    assert kept["table"] == str((tmp_path / "small" / "table").resolve())


def test_a_damaged_prediction_is_an_error_in_one_line(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made / "net", tmp_path / "net")
    path = tmp_path / "net" / "manifest.json"
    document = json.loads(path.read_text())
    document["extra"]["predicted"]["interval_ms"] = [3, 1]
    path.write_text(json.dumps(document))
    assert main(["run", str(tmp_path / "net"), "--device", "local"]) == 1
    err = capsys.readouterr().err
    assert "interval_ms must be [low, high]" in err
    assert "Traceback" not in err
