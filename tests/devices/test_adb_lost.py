"""Phones that are lost, hang or stall in the middle of something."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices.adb import AdbLink
from hwaware.devices.adb_client import AdbLimits
from hwaware.devices.link import DeviceTimeoutError
from hwaware.devices.transport import Transport
from hwaware.errors import DeviceError
from tests.adb.phone import Phone

SHORT = AdbLimits(server=3.0, answer=5.0, settle=0.3, start=3.0, transfer=2.0, slowest=1 << 40)
OLD_AND_NEW = pytest.mark.parametrize("features", ["shell_v2,cmd", ""])


@OLD_AND_NEW
def test_a_phone_that_is_lost_names_the_command(start_phone: Callable[..., Phone], features: str) -> None:
    phone = start_phone(features=features)
    link = AdbLink("board", phone.serial)
    timer = threading.Timer(1.0, phone.stop)
    timer.start()
    with pytest.raises(DeviceError, match=r"device board: the connection was lost during the command sleep \("):
        link.run(["sleep", "30"], timeout=60)
    timer.join()
    with pytest.raises(DeviceError, match="device board: "):
        link.run(["true"], timeout=20)
    link.close()
    link.close()


@OLD_AND_NEW
def test_a_phone_that_hangs_is_a_time_out(start_phone: Callable[..., Phone], tmp_path: Path, features: str) -> None:
    phone = start_phone(features=features)
    link = AdbLink("board", phone.serial, limits=SHORT)
    small = tmp_path / "small"
    small.write_text("small")
    phone.awake.clear()
    with pytest.raises(DeviceTimeoutError, match="device board: the command true took more than 3 s; "):
        link.run(["true"], timeout=20)
    with pytest.raises(DeviceTimeoutError, match="device board: the upload of small took more than 2 s; "):
        link.send(small, str(tmp_path / "there"))
    with pytest.raises(DeviceTimeoutError, match=r"device board: the download of .*there took more than 2 s; "):
        link.receive(str(tmp_path / "there"), tmp_path / "back")
    phone.awake.set()
    assert AdbLink("board", phone.serial).run(["echo", "again"], timeout=20).stdout == "again\n"


def test_an_upload_that_stalls_is_a_time_out(start_phone: Callable[..., Phone], tmp_path: Path) -> None:
    phone = start_phone()
    transport = Transport(AdbLink("board", phone.serial, limits=SHORT), (str(tmp_path / "cache"),))
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1 << 20) * 32)
    blocks = 0

    def stall(data: bytes) -> bytes:
        nonlocal blocks
        blocks += 1
        if blocks == 100:
            phone.awake.clear()
        return data

    phone.on_storage = stall
    with pytest.raises(DeviceTimeoutError, match="device board: the upload of big took more than 2 s; ") as caught:
        transport.push(big)
    assert "may be left on board" in caught.value.__notes__[0]
    phone.awake.set()


def test_an_upload_that_is_slow_but_steady_is_let_be(start_phone: Callable[..., Phone], tmp_path: Path) -> None:
    phone = start_phone()
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1 << 20))

    def slow(data: bytes) -> bytes:
        time.sleep(0.2)  # 16 blocks: more than the longest silence in all
        return data

    phone.on_storage = slow
    limits = AdbLimits(transfer=2.0, slowest=1 << 18)
    AdbLink("board", phone.serial, limits=limits).send(big, str(tmp_path / "there"))
    assert (tmp_path / "there").read_bytes() == big.read_bytes()
