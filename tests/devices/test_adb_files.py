"""What is peculiar to files over ADB; what holds for every link is in test_files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices import adb_files
from hwaware.devices.adb import AdbLink
from hwaware.devices.transport import Transport
from hwaware.devices.uploads import sha256_of
from hwaware.errors import AgentError, DeviceError
from tests.adb.phone import Phone
from tests.devices.conftest import Connect

KINDS = pytest.mark.parametrize("kind", ["adb", "old-adb"])


@KINDS
@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 3_000_000])
def test_files_of_any_size_go_there_and_back(connect: Connect, tmp_path: Path, kind: str, size: int) -> None:
    here = tmp_path / "-here 'it' is\n→"
    here.write_bytes(os.urandom(size))
    transport = connect(kind)
    with transport.lease():
        transport.pull(transport.push_file(here, "there"), tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == here.read_bytes()


def test_a_file_that_arrives_damaged_is_not_kept(start_phone: Callable[..., Phone], tmp_path: Path) -> None:
    phone = start_phone()
    cache = tmp_path / "cache"
    transport = Transport(AdbLink("board", phone.serial), (str(cache),))
    program = tmp_path / "program"
    program.write_bytes(b"#!/bin/sh\n" + b"#" * 200_000)
    phone.on_storage = lambda data: data[:-1] + b"!"
    with pytest.raises(DeviceError, match="program arrived damaged"):
        transport.push(program)
    assert [path for path in cache.rglob("*") if path.is_file()] == []
    phone.on_storage = lambda data: data
    assert sha256_of(Path(transport.push(program))) == sha256_of(program)


@KINDS
def test_adbs_own_words_are_the_reason(request: pytest.FixtureRequest, tmp_path: Path, kind: str) -> None:
    phone: Phone = request.getfixturevalue({"adb": "phone", "old-adb": "old_phone"}[kind])
    link = AdbLink("board", phone.serial)
    (tmp_path / "file").write_text("x")
    for failing, said in (
        (lambda: link.send(tmp_path / "absent", str(tmp_path / "x")), "the upload of absent failed: .*No such file"),
        (lambda: link.send(tmp_path / "file", "/proc/no/x"), "the upload of file failed: .*create file: "),
        (lambda: link.receive("/no/such/file", tmp_path / "x"), "the download of /no/such/file failed: .*exist"),
    ):
        with pytest.raises(DeviceError, match=f"device board: {said}") as caught:
            failing()
        assert str(caught.value).isprintable()


def test_what_is_no_file_is_not_taken_for_one(connect: Connect, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    transport = connect("adb")
    with pytest.raises(DeviceError, match=r"the download of .*pipe failed: skipping special file"):
        transport.pull(str(tmp_path / "pipe"), tmp_path / "back")
    with pytest.raises(DeviceError, match=r"the download of .*folder failed: .*not a directory"):
        transport.pull(str(tmp_path / "folder"), tmp_path / "back")
    assert {path.name for path in tmp_path.iterdir()} == {"pipe", "folder"}


def test_a_download_without_end_is_stopped(connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adb_files, "MAX_RECEIVED_BYTES", 1 << 20)
    folder = tmp_path / "results"
    folder.mkdir()
    with pytest.raises(AgentError, match="the download of /dev/zero brought more than"):
        connect("adb").pull("/dev/zero", folder / "zeros")
    assert list(folder.iterdir()) == []
