"""This machine as a device, with caches of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hwaware.devices.device import Device, open_device


@pytest.fixture(scope="session")
def profiling_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Inventory and caches below a folder that all tests of profiling share: the agent is compiled once."""
    home = tmp_path_factory.mktemp("profiling home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HWAWARE_DEVICES", str(home / "devices.toml"))
        patch.setenv("HWAWARE_CACHE", str(home / "cache"))
        yield


@pytest.fixture
def local(profiling_home: None) -> Iterator[Device]:
    """This machine."""
    with open_device("local") as device:
        yield device
