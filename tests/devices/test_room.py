"""hwaware's folder on a device stays below its limit: what was used longest ago goes first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices.room import VARIABLE, cache_limit
from hwaware.devices.transport import Transport
from hwaware.errors import DeviceError
from tests.devices.conftest import Connect, ssh_link
from tests.sshd import Sshd


@pytest.fixture(autouse=True)
def limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "1")


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., Path]:
    """`program(NAME)`: a script that says its name, 300 KiB long."""

    def program(name: str, kib: int = 300) -> Path:
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\necho {name}\nexit 0\n" + "#" * (kib << 10))
        return path

    return program


def uploads(transport: Transport) -> set[str]:
    return {path.name for path in Path(transport.cache).glob("*/*")}


def age(remote: str, seconds: int) -> None:
    """Make the last use of an upload so long ago."""
    folder = Path(remote).parent
    before = folder.stat().st_mtime - seconds
    os.utime(folder, (before, before))


def fill(transport: Transport, program: Callable[..., Path]) -> None:
    """Three uploads, `a` the oldest, then used again by a later connection."""
    for name, seconds in (("a", 3000), ("b", 2000), ("c", 1000)):
        age(transport.push(program(name)), seconds)


@pytest.mark.parametrize("kind", ["local", "ssh", "adb"])
def test_the_oldest_go_first(connect: Connect, program: Callable[..., Path], kind: str) -> None:
    fill(connect(kind), program)
    later = connect(kind)
    later.push(program("a"))  # used again, so that `b` is the oldest
    photos = Path(later.cache) / "holiday photos"
    photos.mkdir()
    (photos / "sea.jpg").write_bytes(bytes(2 << 20))
    assert later.run([later.push(program("d"))], timeout=20).stdout == "d\n"
    assert uploads(later) == {"a", "c", "d", "sea.jpg"}


def test_what_this_connection_has_pushed_stays(connect: Connect, program: Callable[..., Path]) -> None:
    transport = connect("ssh")
    fill(transport, program)
    with pytest.raises(DeviceError, match=rf"no room for d: it takes 0\.3 MiB, .* allow it more with {VARIABLE}="):
        transport.push(program("d"))
    assert uploads(transport) == {"a", "b", "c"}


def test_nothing_goes_while_another_holds_the_device(connect: Connect, program: Callable[..., Path]) -> None:
    fill(connect("ssh"), program)
    holder, other = connect("ssh"), connect("ssh")
    with holder.lease():
        other.push(program("d"))
        assert uploads(other) >= {"a", "b", "c", "d"}
        # The holder itself makes room.
        holder.push(program("e"))
    assert uploads(other) == {"c", "d", "e"}


def test_a_lease_that_is_just_being_made_is_another_users(connect: Connect, program: Callable[..., Path]) -> None:
    fill(connect("local"), program)
    later = connect("local")
    (Path(later.cache) / "lease").mkdir()
    later.push(program("d"))
    assert uploads(later) == {"a", "b", "c", "d"}


def test_work_files_make_room_as_well(connect: Connect, program: Callable[..., Path]) -> None:
    fill(connect("ssh"), program)
    later = connect("ssh")
    with later.lease():
        later.push_file(program("input"), "I.npy")
        assert uploads(later) >= {"b", "c", "I.npy"}
        assert "a" not in uploads(later)
        with pytest.raises(DeviceError, match=r"no room for more: .* with what is in use 1\.\d MiB"):
            later.push_file(program("more", 900), "more")
    assert uploads(later) == set()


def test_one_that_is_too_large_by_itself(connect: Connect, program: Callable[..., Path]) -> None:
    transport = connect("local")
    with pytest.raises(DeviceError, match=r"no room for huge: it takes 2\.0 MiB"):
        transport.push(program("huge", 2000))
    assert uploads(transport) == set()


@pytest.mark.parametrize("without", [(), ("du",)])
def test_a_small_board(
    program: Callable[..., Path], small_board: Callable[..., Sshd], tmp_path: Path, without: tuple[str, ...]
) -> None:
    server = small_board(without)
    for number, name in enumerate("abcd"):
        transport = Transport(ssh_link(server, tmp_path), (str(tmp_path / "the cache"),))
        age(transport.push(program(name)), 1000 - number)
        transport.close()
    # Without `du` nobody can tell how much there is.
    assert uploads(transport) == (set("abcd") if without else set("bcd"))


@pytest.mark.parametrize(("chosen", "mib"), [("", 512), ("64", 64)])
def test_the_limit(monkeypatch: pytest.MonkeyPatch, chosen: str, mib: int) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    assert cache_limit() == mib << 20


@pytest.mark.parametrize("chosen", ["0", "-1", "1G", "x\n", "9" * 20])
def test_a_limit_that_is_none(monkeypatch: pytest.MonkeyPatch, chosen: str) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    with pytest.raises(DeviceError, match="is no number of MiB; write for example"):
        cache_limit()
