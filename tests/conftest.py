"""Fixtures more than one folder of tests uses."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.sshd import Sshd, start_sshd

# Not imported where they are used: each import would be an adb server of its own, and only the last one is found.
pytest_plugins = ["tests.adb.fixtures"]

# The same examples on every run of CI; elsewhere new ones each time.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("HWAWARE_NO_SKIP") == "1":
    settings.load_profile("ci")

# Small nets on a busy machine: a second thread waits more than it works.
torch.set_num_threads(1)

# Torch's and TVM's own objects stay: looking through them again and again takes a twentieth of the time of all tests.
gc.freeze()
gc.set_threshold(20_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def worker_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests side by side are users side by side: a device belongs to one at a time, so each has a cache of its own.

    None of them has an ssh configuration.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWAWARE_SSH_CONFIG", os.devnull)
        if "PYTEST_XDIST_WORKER" in os.environ:
            patch.setenv("HWAWARE_CACHE", str(tmp_path_factory.mktemp("worker") / "cache"))
            # The cores are taken by other tests; what works in several processes is asked to.
            patch.setenv("HWAWARE_JOBS", "1")
        yield


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """One SSH server for the session; nobody may change or stop it."""
    server = start_sshd(tmp_path_factory.mktemp("sshd"))
    yield server
    server.stop()


@pytest.fixture
def devices_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without devices: inventory and both caches are below the returned folder."""
    home = tmp_path / "devices home"  # with a blank: every path must survive one
    home.mkdir()
    monkeypatch.setenv("HWAWARE_DEVICES", str(home / "devices.toml"))
    monkeypatch.setenv("HWAWARE_CACHE", str(home / "cache"))
    monkeypatch.setenv("HWAWARE_REMOTE_CACHE", str(home / "remote cache"))
    return home
