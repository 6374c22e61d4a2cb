"""Links that break, and boards that are not there any more or are others. The table of all faults is in README.md."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from hwaware.devices.holder import Holder
from hwaware.devices.inventory import Inventory
from hwaware.errors import DeviceBusyError, DeviceError, HostKeyError, TableError
from tests.devices.conftest import trust
from tests.faults.board import Board, check_goes_on, check_struck, profiled, rows_in

pytestmark = pytest.mark.timeout(300)
CUT = "kill -9 $PPID"


def test_the_link_is_cut_while_measuring(board: Board, tmp_path: Path) -> None:
    board.strike_bench(f"real | head -n 6; sleep 1; {CUT}; sleep 5")
    kept = check_struck(tmp_path / "table", DeviceError, r"device board: .*(lost|connection)")
    assert kept
    check_goes_on(board, tmp_path / "table", kept)


def test_the_link_is_cut_while_uploading(board: Board, tmp_path: Path) -> None:
    script = (
        f'case $SSH_ORIGINAL_COMMAND in *work-*bundle*) rm -f "$board/fault"; head -c 20000 >/dev/null; {CUT};; esac\n'
    )
    board.strike(script)
    kept = check_struck(tmp_path / "table", DeviceError, r"device board: ")
    assert not kept
    check_goes_on(board, tmp_path / "table", kept)


def test_the_board_is_rebooted_while_measuring(board: Board, tmp_path: Path) -> None:
    """The connection ends, and the lease it left is from before its last start."""
    board.strike_bench(
        f"real | head -n 6; echo 'another-boot 50' >'{board.cache}/lease/heartbeat'; sleep 1; {CUT}; sleep 5"
    )
    kept = check_struck(tmp_path / "table", DeviceError, r"device board: .*(lost|connection)")
    assert kept
    check_goes_on(board, tmp_path / "table", kept)


def test_the_server_is_gone(board: Board, tmp_path: Path) -> None:
    board.strike_bench(f"real | head -n 6; sleep 1; {CUT}; sleep 5")
    kept = check_struck(tmp_path / "table", DeviceError, r"device board")
    board.server.process.terminate()
    board.server.process.wait(10)
    again = check_struck(tmp_path / "table", DeviceError, r"(?i)refused|cannot connect|no ssh", resume=True)
    assert again.keys() == kept.keys()


def test_another_host_key(board: Board, tmp_path: Path) -> None:
    board.strike_bench(f"real | head -n 6; sleep 1; {CUT}; sleep 5")
    kept = check_struck(tmp_path / "table", DeviceError, r"device board")
    board.server.replace_host_key()
    again = check_struck(tmp_path / "table", HostKeyError, r"trust board --replace", resume=True)
    assert again.keys() == kept.keys()
    Inventory().known_hosts.unlink()
    trust(board.server, Inventory().known_hosts)
    check_goes_on(board, tmp_path / "table", kept)


def test_another_board_under_the_same_name(board: Board, tmp_path: Path) -> None:
    """The board's card was put into one with more memory."""
    board.strike_bench(f"real | head -n 6; sleep 1; {CUT}; sleep 5")
    kept = check_struck(tmp_path / "table", DeviceError, r"device board")
    board.strike(
        "case $SSH_ORIGINAL_COMMAND in *' info'*) /bin/sh -c \"$SSH_ORIGINAL_COMMAND\" | "
        'sed \'s/"memory_bytes":[0-9]*/"memory_bytes":99999999999/\'; exit 0;; esac\n'
    )
    again = check_struck(tmp_path / "table", TableError, r"memory_gib: .* in the table", resume=True)
    assert again.keys() == kept.keys()
    board.mend()
    check_goes_on(board, tmp_path / "table", kept)


def test_two_hosts_on_one_board(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hwaware.profiling.profile._LEASE_WAIT_S", 1.0)
    lease = board.cache / "lease"
    profiled(tmp_path / "first")
    lease.mkdir()
    # Somebody elsewhere, who began a moment ago.
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    uptime = Path("/proc/uptime").read_text().split(".")[0]
    (lease / "heartbeat").write_text(f"{boot} {uptime}\n")
    other = Holder("ann", "bench-2", 77, "2026-01-01T00:00:00+00:00", "elsewhere", 1)
    (lease / "holder").write_text(other.as_json())
    (lease / "token").write_text("0123456789abcdef0123456789abcdef")
    kept = check_struck(tmp_path / "table", DeviceBusyError, r"in use|used by|ann")
    assert not kept
    assert (lease / "token").exists(), "another user's lease is theirs"
    for file in lease.iterdir():
        file.unlink()
    lease.rmdir()
    check_goes_on(board, tmp_path / "table", kept)


def test_the_host_is_killed_while_measuring(board: Board, tmp_path: Path) -> None:
    """Nothing of it goes on measuring on the board, and what it had measured is there."""
    board.strike_bench("real | awk '{print; fflush()} NR==6 {system(\"sleep 5\")}'")
    program = (
        "from pathlib import Path; from tests.faults.board import profiled\n"
        f"profiled(Path({str(tmp_path / 'table')!r}))\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as host:
        deadline = time.monotonic() + 100
        while not rows_in(tmp_path / "table"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        host.kill()
    kept = rows_in(tmp_path / "table")
    check_goes_on(board, tmp_path / "table", kept)
