"""The scripts of hwaware in Android's own shell, mksh, with Android's own commands, toybox."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hwaware.devices.adb import AdbLink
from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.transport import Transport
from hwaware.devices.uploads import sha256_of
from hwaware.errors import DeviceBusyError
from tests.adb.phone import Phone
from tests.devices.test_run import assert_gone, family
from tests.requirements import need


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but what Android has in /system/bin."""
    folder = tmp_path_factory.mktemp("system")
    (folder / "sh").symlink_to(need("mksh", package="mksh"))
    program = need("toybox", package="toybox")
    for name in subprocess.check_output([program], text=True).split():
        if name != "sh":
            (folder / name).symlink_to(program)
    return folder


@pytest.fixture(params=["shell_v2,cmd", ""])
def transport(
    request: pytest.FixtureRequest, start_phone: Callable[..., Phone], system: Path, tmp_path: Path
) -> Iterator[Transport]:
    phone = start_phone(features=request.param, shell=str(system / "sh"), path=str(system))
    transport = Transport(AdbLink("board", phone.serial), (str(tmp_path / "the cache"),))
    yield transport
    transport.close()


def test_commands(transport: Transport) -> None:
    assert "MIRBSD KSH" in transport.run(["sh", "-c", "echo $KSH_VERSION"], timeout=20).stdout
    assert transport.run(["printf", "%s\\n", "it's", "$HOME"], timeout=20).stdout == "it's\n$HOME\n"
    done = transport.run(["sh", "-c", "echo out; echo err >&2; exit 7"], timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert transport.run(["sh", "-c", "kill -9 $$"], timeout=20).returncode == -9
    assert transport.run(["/no/such/agent"], timeout=20).returncode == 127


def test_a_time_out_kills_all(transport: Transport, tmp_path: Path) -> None:
    script, pids = family(tmp_path)
    with pytest.raises(DeviceTimeoutError):
        transport.run(["sh", "-c", script], timeout=3)
    assert_gone(pids)


def test_uploads_and_the_lease(transport: Transport, tmp_path: Path) -> None:
    program = tmp_path / "agent of 'ann'\n2"
    program.write_text('#!/bin/sh\necho ran "$@"\nexit 0\n' + "#" * 300_000)
    with transport.lease():
        remote = transport.push(program)
        assert transport.push(program) == remote
        assert transport.run([remote, "a b"], timeout=20).stdout == "ran a b\n"
        transport.pull(transport.push_file(program, "copy"), tmp_path / "copy")
        with pytest.raises(DeviceBusyError):
            transport.clean()
    assert sha256_of(tmp_path / "copy") == sha256_of(program)
    assert {path.name for path in Path(transport.cache).iterdir()} == {sha256_of(program)}
    assert transport.clean() == 1
