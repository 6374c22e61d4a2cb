"""ARM boards behind real SSH servers, in an inventory of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.arm_board import MACHINES, start_arm_board
from tests.sshd import Sshd


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Sshd]]:
    """A board of each machine, by what its `uname -m` says."""
    with ExitStack() as stack:
        started = {}
        for machine in MACHINES:
            started[machine] = start_arm_board(tmp_path_factory.mktemp(machine), machine)
            stack.callback(started[machine].stop)
        yield started


@pytest.fixture(scope="module")
def boards_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where this module's inventory is; it is empty."""
    home = tmp_path_factory.mktemp("home of boards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWAWARE_DEVICES", str(home / "devices.toml"))
        yield home


@pytest.fixture(scope="module")
def boards(servers: dict[str, Sshd], boards_home: Path) -> dict[str, Sshd]:
    """The boards, in the inventory by their machine's name, and trusted."""
    from hwaware.cli import main

    for machine, server in servers.items():
        assert main(["devices", "add", machine, server.url, "--key", str(server.key_file)]) == 0
        assert main(["devices", "trust", machine, "--json"]) == 0
    return servers
