"""Where `hwaware compile` takes a model's schedules from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.costs.table import CELLS, MANIFEST, CostTable


def schedules(folder: Path) -> dict[str, str]:
    """What an artifact's kernels were written by."""
    manifest = json.loads((folder / "manifest.json").read_text())
    return {op["key"]: op["schedule"] for op in manifest["ops"]}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("profiled") / "table"
    assert main(["profile", "zoo:lenet300", "--device", "local", "--out", str(out), "--rounds", "0"]) == 0
    return out


def test_a_table_decides(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "artifact"
    assert main(["compile", "zoo:lenet300", "--device", "local", "--table", str(table), "--out", str(out)]) == 0
    rows = {row.key: row.schedule for row in CostTable.load(table).rows}
    assert schedules(out) == {key: rows[key] for key in schedules(out)}


def test_a_table_of_another_device_is_refused(table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / CELLS).write_bytes((table / CELLS).read_bytes())
    document = json.loads((table / MANIFEST).read_text())
    document["fingerprint"]["arch"] = "z80"
    (other / MANIFEST).write_text(json.dumps(document))
    words = ["compile", "zoo:lenet300", "--device", "local", "--table", str(other), "--out", str(tmp_path / "out")]
    assert main(words) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert "z80" in said[-1]
    assert not (tmp_path / "out").exists()


def test_a_search_decides(tmp_path: Path) -> None:
    out = tmp_path / "artifact"
    assert main(["compile", "zoo:lenet300", "--device", "local", "--tune", "--out", str(out)]) == 0
    assert set(schedules(out).values())


def test_a_table_and_a_search_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["compile", "zoo:lenet300", "--device", "local", "--tune", "--table", "t", "--out", str(tmp_path / "out")])
    assert caught.value.code == 2
