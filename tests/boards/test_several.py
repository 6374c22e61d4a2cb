"""Several devices profiled at once: each its own table, and what fails alone fails."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.costs.table import JOURNAL, CostTable
from hwaware.profiling.journal import PART
from tests.sshd import Sshd

pytestmark = pytest.mark.timeout(600)
MODEL = "tests/profiling/nets.py:smallest"


def words(out: Path, *devices: str) -> list[str]:
    named = [word for device in devices for word in ("--device", device)]
    return ["profile", MODEL, *named, "--out", str(out), "--rounds", "0"]


def test_one_that_fails_leaves_the_others_alone(
    boards: dict[str, Sshd], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """`local` is this machine, so it comes last."""
    assert main(["devices", "add", "gone", "ssh://nobody@127.0.0.1:1"]) == 0
    capfd.readouterr()
    assert main([*words(tmp_path, "local", "aarch64", "gone", "armv7l"), "--json"]) == 1
    said = capfd.readouterr()
    tables = {entry["device"]: entry for entry in json.loads(said.out)["tables"]}
    assert list(tables)[-1] == "local"
    assert set(tables) == {"local", "aarch64", "gone", "armv7l"}
    for name in ("local", "aarch64", "armv7l"):
        table = CostTable.load(tmp_path / name)
        assert tables[name]["cells"] == len(table.rows) == len({row.key for row in table.rows})
        assert table.manifest.device == name
    assert "cannot connect" in tables["gone"]["error"]
    assert f"--device gone --out {tmp_path / 'gone'} --resume" in said.err
    assert len([line for line in said.err.splitlines() if line.startswith("error:")]) == 1
    assert not (tmp_path / "gone").exists()


def test_ctrl_c_keeps_what_each_has(boards: dict[str, Sshd], tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; from hwaware.cli import main; sys.exit(main(sys.argv[1:]))"]
    with subprocess.Popen(
        [*command, *words(tmp_path, "aarch64", "armv7l")], stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        deadline = time.monotonic() + 240
        part = tmp_path / "aarch64" / PART  # the other has none yet, or some
        while not part.exists() or part.read_bytes().count(b"\n") <= 2:
            assert process.poll() is None
            assert time.monotonic() < deadline, "the profile does not get on"
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in said
    assert (tmp_path / "aarch64" / JOURNAL).exists()
    for name in ("aarch64", "armv7l"):
        assert f"go on with: hwaware profile {MODEL} --device {name} --out {tmp_path / name} --resume" in said
        assert not list((boards[name].home / ".cache" / "hwaware").glob("work-*"))
        assert not (boards[name].home / ".cache" / "hwaware" / "lease").exists()
    assert main([*words(tmp_path, "aarch64", "armv7l"), "--resume"]) == 0
    for name in ("aarch64", "armv7l"):
        table = CostTable.load(tmp_path / name)
        assert len({row.key for row in table.rows}) == len(table.rows)


def test_a_device_named_twice_is_refused(capsys: pytest.CaptureFixture[str], boards_home: Path) -> None:
    assert main(words(Path("x"), "local", "local")) == 1
    assert "named twice" in capsys.readouterr().err
