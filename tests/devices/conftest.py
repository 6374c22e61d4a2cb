"""Devices to test with: this machine, and this machine behind a real SSH server, plain and under BusyBox."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from device_agents import NATIVE
from hwaware.devices.address import SshAddress
from hwaware.devices.host_keys import store_host_key
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.local import LocalLink
from hwaware.devices.ssh import SshLink
from hwaware.devices.ssh_connect import Timeouts, fetch_host_key
from hwaware.devices.transport import Transport
from tests.requirements import need
from tests.sshd import Sshd, start_sshd

Connect = Callable[..., Transport]


def ssh_link(server: Sshd, folder: Path, timeouts: Timeouts | None = None) -> SshLink:
    """A link to `server`, whose host key is trusted first."""
    address = SshAddress(server.user, "127.0.0.1", server.port)
    known_hosts = folder / "known_hosts"
    store_host_key(known_hosts, address, fetch_host_key("board", address, Timeouts()))
    return SshLink("board", address, key_file=str(server.key_file), known_hosts=known_hosts, timeouts=timeouts)


def add_board(server: Sshd) -> None:
    """Put `server` into the user's inventory as `board`, trusted."""
    inventory = Inventory()
    inventory.add(DeviceEntry("board", server.url, str(server.key_file)))
    address = SshAddress(server.user, "127.0.0.1", server.port)
    store_host_key(inventory.known_hosts, address, fetch_host_key("board", address, Timeouts()))


@pytest.fixture
def connect(sshd: Sshd, tmp_path: Path) -> Iterator[Connect]:
    """`connect("local")` or `connect("ssh")`, as often as wanted: transports that share one cache folder."""
    with ExitStack() as stack:

        def connect(kind: str, cache: Path | None = None, server: Sshd = sshd) -> Transport:
            link = LocalLink("board") if kind == "local" else ssh_link(server, tmp_path)
            transport = Transport(link, (str(cache or tmp_path / "the cache"),))
            stack.callback(transport.close)
            return transport

        yield connect


@pytest.fixture(params=["local", "ssh"])
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


@pytest.fixture(scope="session")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real agent for this machine, without kernels."""
    program = tmp_path_factory.mktemp("agent") / "bare agent"
    sources = [*NATIVE.glob("*.c"), *(NATIVE / "bare").glob("*.c")]
    command = [need("cc", package="gcc"), "-std=c11", "-O1", "-D_GNU_SOURCE", f"-I{NATIVE}", "-pthread", "-o"]
    subprocess.run([*command, str(program), *map(str, sources)], check=True, timeout=120)
    return program
