"""The fixed performance mode of an Android ends, whatever becomes of the host or of the connection."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices.device import Device
from hwaware.devices.measuring import measuring_modes
from hwaware.errors import DeviceError
from tests.adb.phone import Phone

# A host that holds the modes of phone argv[1] with cache argv[2] until its stdin ends.
HOLD = """
import sys
from hwaware.devices import lease
from hwaware.devices.adb import AdbLink
from hwaware.devices.android import fixed_performance
from hwaware.devices.device import Device
from hwaware.devices.inventory import DeviceEntry
from hwaware.devices.measuring import measuring_modes
from hwaware.devices.transport import Transport
lease.HEARTBEAT_S, fixed_performance.STALE_S, fixed_performance.WATCH_S = 0.5, 4.0, 1.0
device = Device(DeviceEntry("board", "adb:" + sys.argv[1]), Transport(AdbLink("board", sys.argv[1]), (sys.argv[2],)))
with measuring_modes(device):
    print("on", flush=True)
    sys.stdin.read()
"""


def _wait_until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _hold(phone: Phone, cache: Path) -> subprocess.Popen[str]:
    host = subprocess.Popen(
        [sys.executable, "-c", HOLD, phone.serial, str(cache)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert host.stdout is not None
    assert host.stdout.readline() == "on\n"
    return host


def _claims(cache: Path) -> list[Path]:
    return list(cache.glob("undo-*"))


def test_the_phone_undoes_it_when_the_host_is_killed(own_phone: Phone, own_cache: Path) -> None:
    with _hold(own_phone, own_cache) as host:
        time.sleep(7)  # longer than a heartbeat may be old: as long as the host lives, the mode stays
        assert own_phone.commands.switches == ["true"]
        host.send_signal(signal.SIGKILL)
    _wait_until(lambda: own_phone.commands.switches == ["true", "false"])
    _wait_until(lambda: _claims(own_cache) == [])


@pytest.mark.usefixtures("quick")
def test_the_phone_undoes_it_when_the_connection_is_lost(android: Device, own_phone: Phone, own_cache: Path) -> None:
    with (
        pytest.raises(DeviceError, match="its fixed performance mode may be on for 4 s more, or until `adb -s"),
        measuring_modes(android),
    ):
        own_phone.stop()
    _wait_until(lambda: own_phone.commands.switches == ["true", "false"])
    _wait_until(lambda: _claims(own_cache) == [])


@pytest.mark.usefixtures("quick")
def test_the_watcher_of_a_dead_host_does_not_undo_what_the_next_one_did(
    android: Device, own_phone: Phone, own_cache: Path
) -> None:
    with _hold(own_phone, own_cache) as host:
        host.send_signal(signal.SIGKILL)
    with measuring_modes(android):
        time.sleep(7)  # long after the first watcher has looked
        assert own_phone.commands.switches.count("true") == 2
        assert own_phone.commands.switches[-1] == "true"
    assert own_phone.commands.switches[-1] == "false"
    assert _claims(own_cache) == []


@pytest.mark.usefixtures("quick")
def test_a_watcher_that_is_undoing_is_waited_for(android: Device, own_phone: Phone, own_cache: Path) -> None:
    own_cache.mkdir()
    busy = own_cache / f"undo-{'ab' * 16}.now"
    busy.touch()
    threading.Timer(2.0, busy.unlink).start()
    started = time.monotonic()
    with measuring_modes(android):
        assert time.monotonic() - started > 1.5
        assert own_phone.commands.switches == ["true"]
    assert _claims(own_cache) == []
