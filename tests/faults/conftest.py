"""The board of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.conftest import add_board
from tests.faults.board import Board
from tests.sshd import start_sshd


@pytest.fixture(scope="session")
def builds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the agent is compiled to, once for all tests."""
    return tmp_path_factory.mktemp("builds")


@pytest.fixture
def board(builds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Board]:
    """A board that is added and trusted, and behaves so far."""
    folder = tmp_path / "board"
    folder.mkdir()
    monkeypatch.setenv("HWAWARE_DEVICES", str(tmp_path / "devices.toml"))
    monkeypatch.setenv("HWAWARE_CACHE", str(builds))
    monkeypatch.setenv("HWAWARE_REMOTE_CACHE", str(folder / "the cache"))  # with a blank: every path must survive one
    server = start_sshd(folder / "server", sftp=False, forced=Board.gate(folder))
    add_board(server)
    yield Board(folder, server)
    server.stop()
