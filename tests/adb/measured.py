"""A phone that a test may heat, discharge and switch off, and hwaware's hold on it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices import lease
from hwaware.devices.adb import AdbLink
from hwaware.devices.android import fixed_performance, gate
from hwaware.devices.device import Device
from hwaware.devices.inventory import DeviceEntry
from hwaware.devices.transport import Transport
from tests.adb.phone import Phone


@pytest.fixture
def own_phone(start_phone: Callable[..., Phone]) -> Phone:
    """A phone of the test's own."""
    return start_phone()


@pytest.fixture
def own_cache(tmp_path: Path) -> Path:
    """Where hwaware's folder is on it."""
    return tmp_path / "the cache"


@pytest.fixture
def android(own_phone: Phone, own_cache: Path) -> Device:
    """It as a device."""
    transport = Transport(AdbLink("board", own_phone.serial), (str(own_cache),))
    return Device(DeviceEntry("board", f"adb:{own_phone.serial}"), transport)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Heartbeats, watchers and gates that do not take minutes."""
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.5)
    monkeypatch.setattr(fixed_performance, "STALE_S", 3.0)
    monkeypatch.setattr(fixed_performance, "WATCH_S", 1.0)
    monkeypatch.setattr(gate, "_POLL_S", 0.2)
