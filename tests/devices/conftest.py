"""Devices to test with: this machine, and behind a real SSH server, plain and under BusyBox, or behind a real adb."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from device_agents import NATIVE
from hwaware.devices.adb import AdbLink
from hwaware.devices.address import SshAddress
from hwaware.devices.host_keys import store_host_key
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.link import Link
from hwaware.devices.local import LocalLink
from hwaware.devices.ssh import SshLink
from hwaware.devices.ssh_connect import fetch_host_key
from hwaware.devices.ssh_hop import SshHop
from hwaware.devices.ssh_limits import Timeouts
from hwaware.devices.transport import Transport
from tests.adb.measured import android, own_cache, own_phone, quick  # noqa: F401 - for the tests here
from tests.adb.phone import Phone
from tests.requirements import need
from tests.sshd import Sshd, start_sshd

Connect = Callable[..., Transport]
Configure = Callable[[str], Path]
# Older phones merge stdout and stderr and tell no exit status.
KINDS = ("local", "ssh", "adb", "old-adb")
_PHONES = {"adb": "phone", "old-adb": "old_phone"}


def hop_of(server: Sshd) -> SshHop:
    """`server` as the one hop to a board."""
    return SshHop(server.user, "127.0.0.1", server.port)


def trust(server: Sshd, known_hosts: Path) -> None:
    """Accept the key `server` shows."""
    hop = hop_of(server)
    store_host_key(known_hosts, hop.key_name, fetch_host_key("board", hop, Timeouts()))


def ssh_link(server: Sshd, folder: Path, timeouts: Timeouts | None = None) -> SshLink:
    """A link to `server`, whose host key is trusted first."""
    address = SshAddress(server.user, "127.0.0.1", server.port)
    known_hosts = folder / "known_hosts"
    trust(server, known_hosts)
    return SshLink("board", address, key_file=str(server.key_file), known_hosts=known_hosts, timeouts=timeouts)


def add_board(server: Sshd) -> None:
    """Put `server` into the user's inventory as `board`, trusted."""
    inventory = Inventory()
    inventory.add(DeviceEntry("board", server.url, str(server.key_file)))
    trust(server, inventory.known_hosts)


@pytest.fixture
def connect(request: pytest.FixtureRequest, sshd: Sshd, tmp_path: Path) -> Iterator[Connect]:
    """`connect(KIND)` with one of KINDS, as often as wanted: transports that share one cache folder."""
    with ExitStack() as stack:

        def connect(kind: str, cache: Path | None = None, server: Sshd = sshd) -> Transport:
            link = _link(request, kind, server, tmp_path)
            transport = Transport(link, (str(cache or tmp_path / "the cache"),))
            stack.callback(transport.close)
            return transport

        yield connect


def _link(request: pytest.FixtureRequest, kind: str, server: Sshd, folder: Path) -> Link:
    if kind == "local":
        return LocalLink("board")
    if kind == "ssh":
        return ssh_link(server, folder)
    attached: Phone = request.getfixturevalue(_PHONES[kind])  # only now: tests of others need no adb
    return AdbLink("board", attached.serial)


@pytest.fixture(params=KINDS)
def transport(request: pytest.FixtureRequest, connect: Connect) -> Transport:
    """Each way to a device in turn."""
    return connect(request.param)


@pytest.fixture(scope="session")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with nothing but BusyBox's commands, as on a small board."""
    program = need("busybox", package="busybox-static")
    folder = tmp_path_factory.mktemp("busybox")
    for applet in subprocess.check_output([program, "--list"], text=True).split():
        (folder / applet).symlink_to(program)
    return folder


@pytest.fixture
def small_board(start: Callable[..., Sshd], busybox: Path, tmp_path: Path) -> Callable[..., Sshd]:
    """`small_board(without)`: an SSH server with BusyBox's commands, but for those."""

    def small_board(without: tuple[str, ...] = ()) -> Sshd:
        commands = tmp_path / "commands"
        commands.mkdir()
        for applet in busybox.iterdir():
            if applet.name not in without:
                (commands / applet.name).symlink_to(applet.resolve())
        if without:
            # BusyBox's shell has all its commands in itself, wherever it looks for others.
            (commands / "sh").unlink()
            (commands / "sh").symlink_to(need("dash", package="dash"))
        return start({"PATH": str(commands)})

    return small_board


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Sshd]]:
    """`start(environment, sftp=...)`: SSH servers of the test's own."""
    with ExitStack() as stack:
        count = 0

        def start(environment: dict[str, str] | None = None, *, sftp: bool = True) -> Sshd:
            nonlocal count
            count += 1
            server = start_sshd(tmp_path / f"sshd{count}", environment, sftp=sftp)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    """`configure(text)` makes the file that $HWAWARE_SSH_CONFIG names."""
    path = tmp_path / "ssh config"
    monkeypatch.setenv("HWAWARE_SSH_CONFIG", str(path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOGNAME", "ann")

    def configure(text: str) -> Path:
        path.write_text(text)
        return path

    return configure


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real agent for this machine, without kernels."""
    program = tmp_path_factory.mktemp("agent") / "bare agent"
    sources = [*NATIVE.glob("*.c"), *(NATIVE / "bare").glob("*.c")]
    command = [need("cc", package="gcc"), "-std=c11", "-O1", "-D_GNU_SOURCE", f"-I{NATIVE}", "-pthread", "-o"]
    subprocess.run([*command, str(program), *map(str, sources)], check=True, timeout=120)
    return program
