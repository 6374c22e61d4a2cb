"""Disks, clocks, hangs and phones. The table of all faults is in README.md."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices.device import open_device
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.measuring import measuring_modes
from hwaware.errors import AgentError, DeviceError, TableError
from hwaware.profiling import bench
from hwaware.profiling.profile import profile
from tests.adb.phone import Phone
from tests.disks import mount
from tests.faults.board import Board, all_keys, check_goes_on, check_struck, profiled, rows_in
from tests.profiling.nets import tiny

__all__ = ["mount"]

pytestmark = pytest.mark.timeout(300)
Mount = Callable[[str], Path]


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def test_the_boards_disk_is_full(
    board: Board,
    mount: Mount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It holds the agent that tells facts, but no kernels beside it."""
    disk = mount("size=1m")
    monkeypatch.setenv("HWAWARE_REMOTE_CACHE", str(disk / "cache"))
    kept = check_struck(tmp_path / "table", DeviceError, r"no space left .*make room")
    assert not kept
    assert sorted(path.name for path in (disk / "cache").rglob("*") if not path.is_dir()) != ["lease"]
    remount(disk, "size=64m")
    check_goes_on(board, tmp_path / "table", kept)


def test_the_boards_disk_becomes_read_only(
    board: Board,
    mount: Mount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a dying SD card does."""
    disk = mount("size=64m")
    monkeypatch.setenv("HWAWARE_REMOTE_CACHE", str(disk / "cache"))
    board.strike_bench(f"real; mount -o remount,ro '{disk}'")
    kept = check_struck(tmp_path / "table", DeviceError, r"(?i)read-only")
    assert kept
    remount(disk, "rw")
    check_goes_on(board, tmp_path / "table", kept)


def test_the_hosts_disk_is_full(board: Board, mount: Mount, tmp_path: Path) -> None:
    disk = mount("size=24k")
    out = disk / "table"
    check_struck(out, TableError, r"cannot write .*--resume")
    remount(disk, "size=16m")
    check_goes_on(board, out, {})


def test_an_agent_that_hangs_is_given_up(board: Board, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_CELL_S", 1), ("_SAMPLE_S", 0), ("_COOL_S", 0), ("_GRACE_S", 10.0)):
        monkeypatch.setattr(bench, name, seconds)
    board.strike_bench("real | head -n 6; sleep 1000")
    kept = check_struck(tmp_path / "table", DeviceTimeoutError, r"took more than")
    assert kept
    assert subprocess.run(["pgrep", "-f", "^sleep 1000$"], check=False, capture_output=True).stdout == b""
    monkeypatch.undo()


def test_the_clock_jumps(board: Board, tmp_path: Path) -> None:
    """A board without a battery wakes in 1970 and hears the time later: files are from before or after now."""
    touch = f"find '{board.cache}' -exec touch -d"
    script = tmp_path / "later.awk"
    script.write_text(f'{{print; fflush()}} NR == 4 {{system("{touch} 2099-01-01 {{}} +")}}')
    board.strike_bench(f"{touch} 1970-01-02 {{}} +; real | awk -f '{script}'", always=True)
    table = profiled(tmp_path / "table")
    assert sorted(row.key for row in table.rows) == sorted(all_keys())
    board.mend()
    assert board.left() == []


@pytest.mark.parametrize("word", ["$(reboot)", "\\033[31mx86_64", "../../etc", ""])
def test_a_board_that_says_it_is_something_odd(word: str, board: Board, tmp_path: Path) -> None:
    answer = f"/bin/sh -c \"$SSH_ORIGINAL_COMMAND\" | head -n 1; printf '{word}\\n'"
    board.strike(f"case $SSH_ORIGINAL_COMMAND in *uname*) {answer}; exit 0;; esac\n")
    assert not check_struck(tmp_path / "table", AgentError, r"`uname -m` answered")
    assert not (tmp_path / "table").exists()


def test_a_phone_is_unplugged(start_phone: Callable[..., Phone], board: Board, tmp_path: Path) -> None:
    """In the middle of a profile; plugged in again it goes on."""
    phone, out = start_phone(), tmp_path / "table"
    Inventory().add(DeviceEntry("board", f"adb:{phone.serial}"), force=True)
    module, inputs = tiny()

    def unplug(done: int, _total: int, _what: str) -> None:
        if done == 3:
            phone.stop()

    with open_device("board") as device, pytest.raises(DeviceError, match=r"device board: ") as caught:
        profile(module, inputs, device, out=out, rounds=0, on_progress=unplug)
    assert "\n" not in str(caught.value)
    assert phone.commands.switches[0] == "true"
    kept = rows_in(out)
    assert len(kept) >= 3
    again = start_phone()
    Inventory().add(DeviceEntry("board", f"adb:{again.serial}"), force=True)
    check_goes_on(board, out, kept)
    assert again.commands.switches == ["true", "false"]


def test_a_phone_that_runs_hot_is_not_measured_on(
    start_phone: Callable[..., Phone],
    board: Board,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hwaware.devices.android.gate._POLL_S", 0.1)
    phone = start_phone()
    Inventory().add(DeviceEntry("board", f"adb:{phone.serial}"), force=True)
    phone.commands.set_thermal(3)
    defaults = measuring_modes.__wrapped__.__kwdefaults__  # type: ignore[attr-defined]
    monkeypatch.setitem(defaults, "cool_s", 0.5)
    assert not check_struck(tmp_path / "table", DeviceError, r"throttled \(thermal status 3, severe\)")
    assert not (tmp_path / "table").exists()
