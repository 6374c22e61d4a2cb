"""Small boards: nothing but BusyBox's shell and commands, and not all of those."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.transport import Transport
from hwaware.errors import DeviceBusyError
from tests.devices.conftest import ssh_link
from tests.sshd import Sshd

Board = Callable[..., Transport]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "the cache"


@pytest.fixture
def board(small_board: Callable[..., Sshd], tmp_path: Path, cache: Path) -> Iterator[Board]:
    """`board(without)`: a board whose BusyBox lacks these commands."""
    with ExitStack() as stack:

        def board(without: tuple[str, ...] = ()) -> Transport:
            transport = Transport(ssh_link(small_board(without), tmp_path), (str(cache),))
            stack.callback(transport.close)
            return transport

        yield board


def test_a_command_that_takes_too_long_is_ended_there(board: Board, tmp_path: Path) -> None:
    transport = board()
    with pytest.raises(DeviceTimeoutError, match="the command sh took more than 2 s"):
        transport.run(["sh", "-c", 'echo $$ >"$1"; sleep 600; true', "sh", str(tmp_path / "pid")], timeout=2)
    pid = int((tmp_path / "pid").read_text())
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_lease_goes_from_one_to_the_next(board: Board, cache: Path) -> None:
    transport = board()
    with transport.lease():
        assert (cache / "lease/heartbeat").is_file()
    lease = cache / "lease"
    lease.mkdir()
    (lease / "token").write_text("ab" * 16 + "\n")
    (lease / "heartbeat").write_text("another-boot 1\n")
    (cache / f"work-{'ab' * 16}").mkdir()
    with transport.lease():
        pass
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("without", [(), ("find",)])
def test_a_lease_that_was_never_finished_ends_without_find_as_well(
    board: Board, cache: Path, without: tuple[str, ...]
) -> None:
    transport = board(without)
    (cache / "lease").mkdir(parents=True)
    with pytest.raises(DeviceBusyError, match="unknown@unknown"), transport.lease():
        pass
    heartbeat = cache / "lease/heartbeat"
    boot, uptime = heartbeat.read_text().split()
    heartbeat.write_text(f"{boot} {int(uptime) - 61}\n")
    with transport.lease():
        pass
    assert list(cache.iterdir()) == []


def test_a_damaged_upload_is_noticed_without_a_hash_command(board: Board, tmp_path: Path) -> None:
    transport = board(("sha256sum",))
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    remote = Path(transport.push(program))
    remote.write_text("damaged")
    assert transport.run([transport.push(program)], timeout=20).stdout == "ran\n"
    assert transport.clean() == 1
