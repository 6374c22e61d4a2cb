"""Bad input: exit status 1, one clear line on stderr, nothing written."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest
import torch
from torch import nn

from hwaware.cli import main

FACTORIES = """
import torch
from torch import nn

def raises():
    raise RuntimeError("no weights on this disk")

class Odd(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x).real

def odd():
    return nn.Sequential(nn.Linear(8, 8), Odd()), (torch.randn(1, 8),)

class Counting(nn.Module):
    def forward(self, x):
        return x[x > 0]

def counting():
    return Counting(), (torch.randn(1, 8),)

def nan():
    layer = nn.Linear(8, 8)
    with torch.no_grad():
        layer.weight[3, 4] = float("nan")
    return layer, (torch.randn(1, 8),)

def number():
    return 42
"""


@pytest.fixture
def factories(tmp_path: Path) -> Path:
    file = tmp_path / "models.py"
    file.write_text(FACTORIES)
    return file


def refused(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Type the command; it must end with status 1 and one error line, which is returned."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert captured.err.splitlines()[-1] == errors[0]
    assert "Traceback" not in captured.err
    return errors[0]


@pytest.mark.parametrize(
    ("model", "parts"),
    [
        ("zoo:resnet81", ["resnet81", "resnet8"]),
        ("nowhere.py:net", ["nowhere.py"]),
        ("{file}:missing", ["missing"]),
        ("{file}:raises", ["RuntimeError", "no weights on this disk", "models.py"]),
        ("{file}:odd", ["operator aten.", "'1'"]),
        ("{file}:counting", ["fixed shapes"]),
        ("{file}:nan", ["weight", "NaN"]),
        ("{file}:number", ["int"]),
    ],
)
def test_a_model_that_cannot_be_compiled(
    model: str,
    parts: list[str],
    factories: Path,
    devices_home: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out" / "artifact"
    line = refused(capsys, "compile", model.format(file=factories), "--device", "local", "--out", out)
    for part in parts:
        assert part in line
    assert not out.exists()
    assert not out.parent.exists() or not any(out.parent.iterdir())


def test_a_saved_model_with_dynamic_shapes(
    devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dynamic.pt2"
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(nn.Linear(8, 4), (torch.randn(2, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, file)
    line = refused(capsys, "compile", file, "--device", "local", "--out", tmp_path / "out")
    assert "dynamic" in line
    assert "dynamic.pt2" in line
    assert not (tmp_path / "out").exists()


def test_devices_that_are_unknown_or_down(
    devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused(capsys, "compile", "zoo:lenet300", "--device", "pi9", "--out", tmp_path / "out")
    assert "pi9" in line
    assert "hwaware devices add" in line
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert main(["devices", "add", "board", f"ssh://root@127.0.0.1:{port}"]) == 0
    line = refused(capsys, "profile", "zoo:lenet300", "--device", "board", "--out", tmp_path / "table")
    assert "board" in line
    assert not (tmp_path / "table").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "other"}', "\x00\x01"])
def test_a_table_that_is_corrupt(
    content: str, devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "table.json").write_text(content)
    line = refused(capsys, "predict", "zoo:lenet300", "--table", tmp_path)
    assert "table.json" in line


def test_a_table_of_a_foreign_schema(devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {"kind": "hwaware-cost-table", "schema_version": 99}
    (tmp_path / "table.json").write_text(json.dumps(document))
    line = refused(capsys, "predict", "zoo:lenet300", "--table", tmp_path)
    assert "99" in line
    assert "profile" in line


def test_artifacts_and_inputs(devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "run", tmp_path / "nothing", "--device", "local")
    assert "hwaware compile" in line
    artifact = tmp_path / "artifact"
    assert main(["compile", "zoo:lenet300", "--device", "local", "--out", str(artifact)]) == 0
    garbage = tmp_path / "x.npy"
    garbage.write_bytes(b"not an array")
    assert "x.npy" in refused(capsys, "run", artifact, "--device", "local", "--input", garbage)
    with (artifact / "agent").open("ab") as file:
        file.write(b"x")
    assert "agent" in refused(capsys, "run", artifact, "--device", "local")


@pytest.mark.parametrize("budget", ["latency=abc", "speed=2x", "latency=-5ms", "latency=0%", ""])
def test_budgets_that_mean_nothing(
    budget: str, devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("compress", "zoo:resnet8@digits", "--device", "local", "--out", tmp_path / "out")
    line = refused(capsys, *words, "--budget", budget)
    assert "budget" in line
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["compile", "zoo:lenet300"])
    assert ended.value.code == 2
    with pytest.raises(SystemExit) as ended:
        main(["proflie", "zoo:lenet300"])
    assert ended.value.code == 2
    assert "proflie" in capsys.readouterr().err
