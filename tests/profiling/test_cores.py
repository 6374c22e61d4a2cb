"""Profiles and runs that keep to chosen cores, and tables that answer for those only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.costs.table import CostTable
from hwaware.devices.device import Device
from hwaware.errors import DeviceError, TableError
from hwaware.profiling.profile import profile
from tests.profiling.nets import tiny
from tests.requirements import need_cpus

MODEL = "tests/profiling/nets.py:tiny"


def test_a_table_of_other_cores_is_another_table(local: Device, tmp_path: Path) -> None:
    need_cpus(2)
    module, inputs = tiny()
    table = profile(module, inputs, local, out=tmp_path / "table", rounds=0, cores="1")
    assert table.manifest.conditions["cores"] == "cpu 1"
    with pytest.raises(TableError, match=r"cores: 'cpu 1' in the table, 'the fastest' here"):
        profile(module, inputs, local, out=tmp_path / "table", rounds=0, resume=True)
    again = profile(module, inputs, local, out=tmp_path / "table", rounds=0, resume=True, cores="1")
    assert again.rows == CostTable.load(tmp_path / "table").rows


def test_as_shipped_has_no_cores(local: Device, tmp_path: Path) -> None:
    module, inputs = tiny()
    with pytest.raises(DeviceError, match="leave --cores out"):
        profile(module, inputs, local, out=tmp_path / "table", protocol="as-shipped", cores="0")


def test_the_command_line(profiling_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each cluster has its table, and a run on chosen cores says so in its report and is compared with none other."""
    need_cpus(2)
    words = ["profile", MODEL, "--device", "local", "--rounds", "0", "--out", str(tmp_path / "each")]
    assert main([*words, "--cores", "each", "--json"]) == 0
    tables = json.loads(capsys.readouterr().out)["tables"]
    assert [entry["table"] for entry in tables] == [str(tmp_path / "each" / "all")]
    table, model = str(tmp_path / "each" / "all"), str(tmp_path / "model")
    assert main(["compile", MODEL, "--device", "local", "--table", table, "--out", model]) == 0
    for name, cores in (("fastest", []), ("second", ["--cores", "1"])):
        report = str(tmp_path / f"{name}.json")
        assert main(["run", model, "--device", "local", "--report", report, *cores]) == 0
    said = capsys.readouterr().err
    assert (
        "not audited: the prediction stored with the artifact is for the default cores, this run took cores cpu 1"
        in said
    )
    conditions = json.loads((tmp_path / "second.json").read_text())["conditions"]
    assert (conditions["cores"], conditions["cpus"]) == ("cpu 1", [1])
    assert main(["compare", str(tmp_path / "fastest.json"), str(tmp_path / "second.json")]) != 0
    assert main(["run", model, "--device", "local", "--cores", "huge"]) == 1
    assert "choose one of all: " in capsys.readouterr().err
