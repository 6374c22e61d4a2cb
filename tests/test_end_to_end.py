"""The three uses as a user types them: profile, compress, compile, run and compare, here and over a real SSH server."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from hwaware.cli import main
from hwaware.reference import load_model
from tests.sshd import Sshd

NET = """
import torch
from torch import nn

def net():
    torch.manual_seed(3)
    layers = [nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3), nn.BatchNorm2d(12),
              nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 5)]
    return nn.Sequential(*layers), (torch.randn(1, 1, 12, 12),)
"""


@pytest.fixture
def model(tmp_path: Path) -> str:
    file = tmp_path / "own net.py"
    file.write_text(NET)
    return f"{file}:net"


def typed(*words: str | Path) -> int:
    return main([str(word) for word in words])


def test_profile_and_run_over_ssh(
    sshd: Sshd, devices_home: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed("devices", "add", "board", sshd.url, "--key", sshd.key_file) == 0
    capsys.readouterr()
    table = tmp_path / "table"
    assert typed("profile", model, "--device", "board", "--out", table, "--rounds", "1") == 1
    refusal = capsys.readouterr().err.strip().splitlines()[-1]
    assert refusal.startswith("error: ")
    assert sshd.fingerprint in refusal
    assert "hwaware devices trust board" in refusal
    assert not table.exists()

    assert typed("devices", "trust", "board") == 0
    assert typed("profile", model, "--device", "board", "--out", table, "--rounds", "1") == 0
    capsys.readouterr()
    assert typed("predict", model, "--table", table, "--json") == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["missing"] == []
    assert {op["provenance"] for op in predicted["ops"]} == {"measured"}

    artifact = tmp_path / "artifact"
    assert typed("compile", model, "--device", "board", "--out", artifact) == 0
    source, target = tmp_path / "x.npy", tmp_path / "y.npy"
    x = torch.randn(1, 1, 12, 12)
    np.save(source, x.numpy())
    report = tmp_path / "r.json"
    words = ("--input", source, "--output", target, "--per-op", "--report", report)
    assert typed("run", artifact, "--device", "board", *words) == 0
    with torch.no_grad():
        expected = load_model(model).module.eval()(x).numpy()
    assert np.abs(np.load(target) - expected).max() <= 1e-4 * np.abs(expected).max()
    document = json.loads(report.read_text())
    assert document["device"]["name"] == "board"
    assert len(document["ops"]) == len(predicted["ops"])

    capsys.readouterr()
    assert typed("compare", report, report, "--html", tmp_path / "page.html") == 0
    assert "cannot be told apart" in capsys.readouterr().out
    assert (tmp_path / "page.html").read_text().lower().startswith("<!doctype html>")


def test_table_of_another_device_is_refused(
    devices_home: Path, model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "table"
    assert typed("profile", model, "--device", "local", "--out", table, "--rounds", "1") == 0
    manifest = json.loads((table / "table.json").read_text())
    manifest["fingerprint"]["cpu_model"] = "Another CPU"
    manifest["fingerprint"]["sha256"] = "0" * 64
    (table / "table.json").write_text(json.dumps(manifest))
    capsys.readouterr()
    assert typed("profile", model, "--device", "local", "--out", table, "--resume") == 1
    assert "Another CPU" in capsys.readouterr().err


def test_compile_leaves_nothing_behind_when_it_fails(
    devices_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "odd.py"
    file.write_text(
        "import torch\nfrom torch import nn\n"
        "class Odd(nn.Module):\n    def forward(self, x):\n        return torch.fft.fft(x).real\n"
        "class Net(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.inner = Odd()\n"
        "    def forward(self, x):\n        return self.inner(x) + 1\n"
        "def net():\n    return Net(), (torch.randn(1, 8),)\n"
    )
    out = tmp_path / "artifacts" / "odd"
    assert typed("compile", f"{file}:net", "--device", "local", "--out", out) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: operator aten.")
    assert "'inner'" in error
    assert not out.parent.exists() or not any(out.parent.iterdir())
