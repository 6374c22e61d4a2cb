"""``--unit``: the processor, or the GPU where there is one, and a table of the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.compiler.artifact import load_artifact
from hwaware.devices.device import open_device
from hwaware.profiling.target import device_facts
from tests.compiler.cuda.boards import ORIN
from tests.costs.tables import manifest, table

MODEL = "tests/profiling/nets.py:tiny"


def compiled(out: Path, *words: str) -> int:
    return main(["compile", MODEL, "--device", "local", "--out", str(out), *words])


def test_the_processor_computes(devices_home: Path, tmp_path: Path) -> None:
    assert compiled(tmp_path / "model", "--unit", "cpu") == 0
    assert "arch" not in load_artifact(tmp_path / "model").manifest["target"]


def test_a_gpu_that_is_not_there_is_refused(
    devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_device("local") as device:
        if device_facts(device).gpu is not None:
            raise pytest.skip.Exception("this machine has a GPU")
    assert compiled(tmp_path / "model", "--unit", "gpu") == 1
    assert "tells of no GPU" in capsys.readouterr().err
    table([], target=ORIN.identity(), device="orin").save(tmp_path / "table")
    assert compiled(tmp_path / "model", "--table", str(tmp_path / "table")) == 1
    assert "tells of no GPU" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


def test_a_table_of_the_other_unit_is_refused(
    devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table([], target=ORIN.identity(), device="orin").save(tmp_path / "table")
    assert compiled(tmp_path / "model", "--unit", "cpu", "--table", str(tmp_path / "table")) == 1
    assert "the cost table of orin has no cells of its cpu" in capsys.readouterr().err
    assert manifest().unit == "cpu"


def test_another_unit_is_a_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        compiled(tmp_path, "--unit", "npu")
    assert "invalid choice" in capsys.readouterr().err
