"""From a phone that hwaware has never seen to its cost table; the phone's commands are ARM code."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.costs.rows_file import RowsFile
from hwaware.costs.table import CostTable
from hwaware.profiling.journal import PART
from tests.adb.phone import Phone

pytestmark = pytest.mark.timeout(600)  # the first use of a target builds its C library
MODEL = "tests/profiling/nets.py:tiny"


@pytest.fixture
def cache(devices_home: Path, arm_phone: Phone) -> Path:
    """Where hwaware's folder is on the phone, which the user has added as `pixel`."""
    assert main(["devices", "add", "pixel", f"adb:{arm_phone.serial}"]) == 0
    return devices_home / "remote cache"


def _words(out: Path) -> list[str]:
    return ["profile", MODEL, "--device", "pixel", "--out", str(out), "--rounds", "0", "--json"]


def _check(table: CostTable, cache: Path, phone: Phone) -> None:
    """It is whole, and the phone is as it was but for the agent that tells facts, kept for the next time."""
    assert table.manifest.complete
    assert len({row.key for row in table.rows}) == len(table.rows)
    assert table.manifest.facts["arch"] == "aarch64"
    assert table.manifest.emulated
    assert table.manifest.conditions["power_mode"] == "fixed-performance"
    assert table.manifest.conditions["android_model"] == "Phone 7"
    assert phone.commands.switches[-1] == "false"
    assert [len(path.name) for path in cache.iterdir()] == [64]


def test_a_fresh_phone_has_a_table_after_two_commands(
    cache: Path, arm_phone: Phone, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(_words(tmp_path / "table")) == 0
    document = json.loads(capsys.readouterr().out)
    table = CostTable.load(tmp_path / "table")
    assert document["complete"] is True
    assert document["cells"] == len(table.rows)
    _check(table, cache, arm_phone)


def test_a_profile_whose_host_was_killed_is_gone_on_with(cache: Path, arm_phone: Phone, tmp_path: Path) -> None:
    out = tmp_path / "table"
    command = [sys.executable, "-c", "import sys; from hwaware.cli import main; sys.exit(main(sys.argv[1:]))"]
    with subprocess.Popen([*command, *_words(out)], start_new_session=True) as process:
        deadline = time.monotonic() + 240
        while not (out / PART).exists() or (out / PART).read_bytes().count(b"\n") <= 2:
            assert process.poll() is None
            assert time.monotonic() < deadline, "the profile does not get on"
            time.sleep(0.02)
        process.kill()
    assert arm_phone.commands.switches[-1] == "true"
    with RowsFile(out / PART, "") as file:
        kept = {row.key: row.samples_ns for row in file.rows if row.status == "ok"}
    assert main([*_words(out), "--resume"]) == 0
    table = CostTable.load(out)
    _check(table, cache, arm_phone)
    assert kept.items() <= {row.key: row.samples_ns for row in table.rows}.items()
