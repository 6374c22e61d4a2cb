"""From a board that hwaware has never seen to its cost table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.costs.table import CostTable
from hwaware.devices.device import open_device
from tests.arm_board import start_arm_board
from tests.sshd import Sshd

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    """A board that nothing was ever copied to."""
    started = start_arm_board(tmp_path / "fresh", "aarch64")
    yield started
    started.stop()


def test_a_fresh_board_has_a_table_after_two_commands(
    server: Sshd, boards_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "table"
    assert main(["devices", "add", "fresh", server.url, "--key", str(server.key_file), "--trust"]) == 0
    assert server.fingerprint in capsys.readouterr().out
    words = ["profile", "zoo:lenet5", "--device", "fresh", "--out", str(out), "--rounds", "0", "--json"]
    assert main(words) == 0
    document = json.loads(capsys.readouterr().out)
    table = CostTable.load(out)
    assert document["complete"] is table.manifest.complete is True
    assert document["cells"] == len(table.rows) > 20
    assert {row.status for row in table.rows} <= {"ok", "unstable"}
    assert table.manifest.facts["arch"] == "aarch64"
    assert table.manifest.emulated
    # All that is left on it is one folder with the agent that tells facts, kept for the next time.
    left = [path for path in server.home.rglob("*") if path.is_file()]
    assert [path.parent.parent for path in left] == [server.home / ".cache" / "hwaware"]
    with open_device("fresh") as device:
        assert device.transport.clean() == 1
    assert not [path for path in server.home.rglob("*") if path.is_file()]
