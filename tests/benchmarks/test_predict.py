"""The whole benchmark on a net of two convolutions, profiled and measured here."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.predict.__main__ import main
from benchmarks.predict.tables import ready
from hwaware.costs.table import CostTable
from hwaware.costs.validation import read_checks
from hwaware.devices.device import open_device
from hwaware.errors import TableError
from hwaware.reference import load_model

NET = f"{Path(__file__).parents[1] / 'profiling' / 'nets.py'}:tiny"


@pytest.fixture
def out(tmp_path: Path, devices_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    words = ["--families", NET, "--threads", "1", "--variants", "2", "--rounds", "2", "--ms", "2", "--budget", "30s"]
    monkeypatch.setattr(sys, "argv", ["predict", *words, "--out", str(tmp_path / "out")])
    return tmp_path / "out"


def test_from_a_profile_to_verdicts_and_again(
    out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main() == 0
    assert "within ±5 %" in capsys.readouterr().out
    document = json.loads((out / "predict.json").read_text())
    (series,) = document["series"]
    assert series["predicted_first"] is True
    assert series["table"]["seconds"] > 0
    assert series["table"]["second_seconds"] > 0
    for variant in (series["whole"], *series["outcomes"]):
        assert variant["measured"]["output_error"] < 1e-4  # what was timed is the model
        assert len(variant["measured"]["rounds_ms"]) >= 2
        keys = [op["key"] for op in variant["measured"]["ops"]]
        assert variant["predicted"] is None or keys == [op["key"] for op in variant["predicted"]["ops"]]
    folder = Path(series["table"]["path"])
    assert CostTable.load(folder).manifest.cells_sha256 == series["table"]["cells_sha256"]
    known = [variant for variant in (series["whole"], *series["outcomes"]) if variant["predicted"] is not None]
    assert len([check for check in read_checks(folder) if check.source == "benchmark"]) == len(known)

    with open_device("local") as device:
        for name, threads, message in (("other", 1, "not of other"), ("nets.tiny", 2, "threads")):
            with pytest.raises(TableError, match=message):
                ready(replace(load_model(NET), name=name), device, threads, folder, 60.0, out / "times", print)

    assert main() == 1  # what is there is not overwritten
    assert "add --resume" in capsys.readouterr().err

    monkeypatch.setattr(sys, "argv", [*sys.argv, "--resume", "--lock", str(out / "lock")])
    assert main() == 0
    again = json.loads((out / "predict.json").read_text())
    assert again["series"] == document["series"]  # nothing was measured, nor predicted otherwise
