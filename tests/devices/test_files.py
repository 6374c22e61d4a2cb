"""Uploads that are verified, reused and never half there; downloads; the folder they go to."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices.cache import SSH_CANDIDATES, choose_cache
from hwaware.devices.local import LocalLink
from hwaware.devices.transport import Transport
from hwaware.devices.uploads import sha256_of
from hwaware.errors import DeviceError
from tests.devices.conftest import Connect, ssh_link
from tests.disks import mount
from tests.sshd import Sshd

__all__ = ["mount"]

EACH = pytest.mark.parametrize("kind", ["local", "ssh", "adb"])


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A script with an awkward name and enough bytes to need many blocks."""
    path = tmp_path / "agent of 'ann'\n2"
    path.write_text('#!/bin/sh\necho ran "$@"\nexit 0\n' + "#" * 300_000)
    return path


def test_a_pushed_program_runs(transport: Transport, program: Path) -> None:
    remote = transport.push(program)
    assert remote == f"{transport.cache}/{sha256_of(program)}/{program.name}"
    assert transport.run([remote, "a b"], timeout=20).stdout == "ran a b\n"


def test_a_second_push_sends_nothing(transport: Transport, program: Path) -> None:
    remote = Path(transport.push(program))
    before = remote.stat()
    os.utime(remote, ns=(1, 1))  # any write would renew it
    assert transport.push(program) == str(remote)
    after = remote.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, 1)


def test_a_damaged_upload_is_replaced(transport: Transport, program: Path) -> None:
    remote = Path(transport.push(program))
    remote.write_text("#!/bin/sh\necho evil\n")
    assert transport.run([transport.push(program)], timeout=20).stdout == "ran\n"


def test_work_files_go_there_and_back_and_vanish_with_the_lease(transport: Transport, tmp_path: Path) -> None:
    data = tmp_path / "in.npy"
    data.write_bytes(bytes(range(256)) * 1000)
    with transport.lease():
        remote = transport.push_file(data, "I.npy")
        transport.run(["cp", remote, transport.work_path("O.npy")], timeout=20)
        transport.pull(transport.work_path("O.npy"), tmp_path / "out.npy")
        folder = Path(remote).parent
    assert (tmp_path / "out.npy").read_bytes() == data.read_bytes()
    assert not folder.exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "-n", "a b"])
def test_a_work_file_name_cannot_leave_its_folder(connect: Connect, name: str) -> None:
    transport = connect("local")
    with transport.lease(), pytest.raises(DeviceError, match="bad work file name"):
        transport.work_path(name)


def test_work_files_need_a_lease(connect: Connect, program: Path) -> None:
    with pytest.raises(DeviceError, match="lease"):
        connect("local").push_file(program, "x")


def test_a_failed_pull_leaves_the_old_file_and_no_other(transport: Transport, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "O.npy").write_text("old")
    with pytest.raises(DeviceError, match=r"O\.npy"):
        transport.pull("/no/such/O.npy", folder / "O.npy")
    assert [path.read_text() for path in folder.iterdir()] == ["old"]


def test_clean_removes_uploads_and_nothing_else(connect: Connect, program: Path) -> None:
    transport = connect("ssh")
    transport.push(program)
    other = Path(transport.cache) / "holiday photos"
    other.mkdir()
    assert transport.clean() == 1
    assert [path.name for path in Path(transport.cache).iterdir()] == [other.name]
    assert transport.clean() == 0


def _left_behind(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


@EACH
def test_a_full_disk_is_named_and_nothing_is_left(
    connect: Connect, program: Path, mount: Callable[[str], Path], kind: str
) -> None:
    small_disk = mount("size=128k")
    transport = connect(kind, small_disk)
    with pytest.raises(DeviceError, match=r"no space left for .*0\.29 MiB.* free; make room with") as caught:
        transport.push(program)
    assert "\n" not in str(caught.value)
    assert _left_behind(small_disk) == []
    small = program.with_name("small")
    small.write_text("#!/bin/sh\necho fits\n")
    assert transport.run([transport.push(small)], timeout=20).stdout == "fits\n"


@pytest.mark.parametrize("sftp", [True, False])
def test_a_server_that_cannot_write_on_leaves_nothing(
    connect: Connect, start: Callable[..., Sshd], program: Path, tmp_path: Path, sftp: bool
) -> None:
    # The children of this server may write no file over 100,000 bytes.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        server = start(sftp=sftp)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    cache = tmp_path / "limited"
    with pytest.raises(DeviceError, match="the upload of agent of 'ann' 2 failed") as caught:
        connect("ssh", cache, server).push(program)
    assert "\n" not in str(caught.value)
    assert _left_behind(cache) == []


def test_a_server_without_sftp_does_too(
    connect: Connect, start: Callable[..., Sshd], program: Path, tmp_path: Path
) -> None:
    server = start(sftp=False)
    # What a login shell prints at its start is part of no file and of no output.
    (server.home / ".bashrc").write_text("echo Welcome to the board; echo noise >&2\n")
    transport = connect("ssh", None, server)
    remote = transport.push(program)
    assert transport.run([remote], timeout=20).stdout == "ran\n"
    transport.pull(remote, tmp_path / "back")
    assert sha256_of(tmp_path / "back") == sha256_of(program)


def test_busybox_is_enough(
    connect: Connect, start: Callable[..., Sshd], busybox: Path, program: Path, tmp_path: Path
) -> None:
    transport = connect("ssh", None, start({"PATH": str(busybox)}))
    with transport.lease():
        remote = transport.push(program)
        assert transport.push(program) == remote
        assert transport.run([remote], timeout=20).stdout == "ran\n"
        transport.pull(transport.push_file(program, "copy"), tmp_path / "copy")
    assert sha256_of(tmp_path / "copy") == sha256_of(program)
    assert {path.name for path in Path(transport.cache).iterdir()} == {sha256_of(program)}


def test_without_sha256sum_the_file_is_read_back(
    connect: Connect, start: Callable[..., Sshd], program: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few commands"
    few.mkdir()
    for name in ("sh", "cat", "chmod", "id", "mkdir", "mv", "rm"):
        (few / name).symlink_to(str(shutil.which(name)))
    transport = connect("ssh", None, start({"PATH": str(few)}))
    remote = Path(transport.push(program))
    assert transport.run(["sh", "-c", "command -v sha256sum"], timeout=20).stdout == ""
    remote.write_text("damaged")
    assert sha256_of(Path(transport.push(program))) == sha256_of(program)


def test_the_cache_is_in_the_home_folder(start: Callable[..., Sshd], tmp_path: Path) -> None:
    server = start()
    link = ssh_link(server, tmp_path)
    assert choose_cache(link, SSH_CANDIDATES) == str(server.home / ".cache/hwaware")
    link.close()


def test_a_home_that_cannot_hold_it_falls_back_to_tmp(start: Callable[..., Sshd], tmp_path: Path) -> None:
    link = ssh_link(start({"HOME": "/proc"}), tmp_path)
    fallback = Path(choose_cache(link, SSH_CANDIDATES))
    link.close()
    assert fallback == Path(f"/tmp/hwaware-{os.getuid()}")  # noqa: S108 - the place that is promised
    assert fallback.stat().st_mode & 0o077 == 0
    if not any(fallback.iterdir()):
        fallback.rmdir()


def test_a_folder_where_nothing_runs_is_not_chosen(mount: Callable[[str], Path], tmp_path: Path) -> None:
    folder = mount("size=128k,noexec")
    link = LocalLink("board")
    assert choose_cache(link, [str(folder / "c"), str(tmp_path / "next")]) == str(tmp_path / "next")
    with pytest.raises(DeviceError, match=r"(?i)permission denied.*HWAWARE_REMOTE_CACHE"):
        choose_cache(link, [str(folder / "c")])


def test_a_folder_behind_a_link_or_of_another_user_is_not_chosen(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(DeviceError, match="belongs to another user"):
        choose_cache(LocalLink("board"), [str(tmp_path / "link")])


def test_busybox_finds_the_folder_where_programs_run(
    start: Callable[..., Sshd], busybox: Path, mount: Callable[[str], Path], tmp_path: Path
) -> None:
    """A home that cannot be written, a disk that is read-only, a /tmp where nothing runs."""
    link = ssh_link(start({"PATH": str(busybox), "HOME": "/proc"}), tmp_path)
    fixed, noexec = mount("size=128k,ro"), mount("size=128k,noexec")
    wanted = [SSH_CANDIDATES[0], f"{fixed}/hwaware", f"{noexec}/hwaware-$UID", str(tmp_path / "next")]
    assert choose_cache(link, wanted) == str(tmp_path / "next")
    link.close()
