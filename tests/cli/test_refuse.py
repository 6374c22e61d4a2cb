"""A table of another device, toolchain, thread count, protocol or power mode is refused by every verb, by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.costs.table import CostTable
from tests.cli.local_table import NET, write_local_table

TASK = """
import torch
from torch import nn
from hwaware import Task
from tests.profiling.nets import tiny

def task():
    model, inputs = tiny()
    batches = [(torch.randn(4, 3, 8, 8), torch.zeros(4, dtype=torch.long))]
    return Task(model, inputs, batches, batches, nn.functional.cross_entropy, lambda out, wanted: 1.0)
"""


DIFFERENCES = {
    "device": ("fingerprint", {"cpus": 77}, "device cpus: 77 in the table, "),
    "toolchain": ("toolchain", {"tvm": "0.1"}, "toolchain tvm: '0.1' in the table, "),
    "power mode": ("conditions", {"power_mode": "MAXN"}, "power mode: 'MAXN' in the table, None here"),
    "threads": ("threads", 2, "threads: 2 in the table, 1 here"),
    "protocol": ("protocol", "as-shipped", "protocol: 'as-shipped' in the table, 'pinned' here"),
}
OF_THE_DEVICE = ["device", "toolchain", "power mode"]


@pytest.fixture(scope="module")
def one_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches that all of these tests share: the agent is compiled once."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWAWARE_DEVICES", str(home / "devices.toml"))
        patch.setenv("HWAWARE_CACHE", str(home / "cache"))
        yield


def strange(folder: Path, name: str) -> str:
    """Write a table that is this machine's but for one thing; what must be said of it."""
    field, value, said = DIFFERENCES[name]
    plain = write_local_table(folder)
    old = getattr(plain.manifest, field)
    other = {field: {**old, **value} if isinstance(value, dict) else value}
    CostTable(replace(plain.manifest, **other), plain.rows).save(folder)
    return said


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(capsys: pytest.CaptureFixture[str], folder: Path, said: str, *words: str | Path) -> None:
    before = files(folder)
    capsys.readouterr()
    assert main([str(word) for word in words]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    errors = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "profile again" in errors[0]
    assert files(folder) == before


@pytest.mark.parametrize("name", DIFFERENCES)
def test_profile_resume(name: str, one_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = strange(tmp_path / "table", name)
    words = ("profile", NET, "--device", "local", "--out", tmp_path / "table", "--resume")
    refused(capsys, tmp_path / "table", said, *words)


@pytest.mark.parametrize("name", DIFFERENCES)
def test_compress(name: str, one_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on with the table of its device in the output folder."""
    said = strange(tmp_path / "small" / "table", name)
    file = tmp_path / "tasks.py"
    file.write_text(TASK)
    words = ("compress", f"{file}:task", "--device", "local", "--budget", "latency=60%", "--out", tmp_path / "small")
    refused(capsys, tmp_path / "small", said, *words)


@pytest.mark.parametrize("name", [*OF_THE_DEVICE, "threads"])
def test_compile(name: str, one_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Schedules serve every protocol, and every number of threads unless one is asked for."""
    said = strange(tmp_path / "table", name)
    words = ["compile", NET, "--device", "local", "--table", tmp_path / "table", "--out", tmp_path / "out"]
    if name == "threads":
        words += ["--threads", "1"]
    refused(capsys, tmp_path / "table", said, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", OF_THE_DEVICE)
def test_compile_for_any_device(name: str, one_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = strange(tmp_path / "table", name)
    words = ["compile", NET, "--device", "local", "--table", tmp_path / "table", "--out", tmp_path / "out"]
    assert main([*map(str, words), "--any-device"]) == 0
    told = capsys.readouterr().err
    assert said in told
    assert "--any-device" in told
    assert (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_validation_of_a_strange_table_is_left_alone(
    name: str, one_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run itself is none the worse for it."""
    table, out = tmp_path / "table", tmp_path / "out"
    write_local_table(table)
    assert main(["compile", NET, "--device", "local", "--table", str(table), "--out", str(out)]) == 0
    said = strange(table, name)
    before = files(table)
    capsys.readouterr()
    assert main(["run", str(out), "--device", "local"]) == 0
    assert said in capsys.readouterr().err
    assert files(table) == before


@pytest.mark.parametrize("name", DIFFERENCES)
def test_merge(name: str, one_home: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_local_table(tmp_path / "a")
    said = strange(tmp_path / "b", name).split(":")[0]
    assert main(["merge", str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "out")]) == 1
    assert f"a and {tmp_path / 'b'} cannot be merged: {said}: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert CostTable.load(tmp_path / "a").manifest.models
