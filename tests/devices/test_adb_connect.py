"""Everything that can be wrong with a phone before the first command: one line that says what to do."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hwaware.devices.adb import AdbLink
from hwaware.devices.adb_client import AdbLimits
from hwaware.devices.adb_errors import unusable
from hwaware.devices.link import DeviceTimeoutError
from hwaware.errors import DeviceError
from tests.adb.phone import Phone
from tests.adb.server import AdbServer, free_port

SHORT = AdbLimits(server=3.0, answer=5.0, settle=0.3, start=3.0, transfer=2.0, slowest=1 << 40)


def _refusal(serial: str, limits: AdbLimits = SHORT) -> str:
    with pytest.raises(DeviceError) as caught:
        AdbLink("board", serial, limits=limits)
    message = str(caught.value)
    assert message.startswith("device board: ")
    assert "\n" not in message
    return message


def test_adb_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    message = _refusal("R58M123")
    assert "adb is not installed here; `hwaware doctor` tells the command that installs it" in message


def test_an_adb_that_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "adb").write_text("#!/no/such/interpreter\n")
    (tmp_path / "adb").chmod(0o755)
    message = _refusal("R58M123")
    assert f"cannot run {tmp_path}/adb: No such file" in message


def test_a_serial_that_is_not_attached(phone: Phone) -> None:
    message = _refusal("R58M123")
    assert "adb sees no device R58M123 (attached: " in message
    assert f"{phone.serial} (device)" in message
    assert "check its cable and that USB debugging is on" in message


@pytest.mark.usefixtures("adb_server")
def test_a_network_serial_that_is_not_connected() -> None:
    assert "connect it with `adb connect 10.1.2.3:5555`" in _refusal("10.1.2.3:5555")


def test_a_phone_that_has_not_allowed_this_computer(start_phone: Callable[..., Phone]) -> None:
    phone = start_phone(allows=False)
    message = _refusal(phone.serial)
    assert f'{phone.serial} has not allowed this computer yet; unlock it and accept "Allow USB debugging"' in message


def test_a_phone_that_was_switched_off(start_phone: Callable[..., Phone], adb_server: AdbServer) -> None:
    phone = start_phone()
    AdbLink("board", phone.serial).close()
    phone.stop()
    deadline = time.monotonic() + 20
    while f"{phone.serial}\tdevice\n" in adb_server.run("devices"):
        assert time.monotonic() < deadline, "adb does not notice"
    message = _refusal(phone.serial)
    assert any(said in message for said in ("does not answer (offline)", "is still connecting", "adb sees no device"))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("no permissions (missing udev rules? user is in the plugdev group); see [http://x]", "may not open R1"),
        ("no permissions", "android-sdk-platform-tools-common"),
        ("offline", "does not answer (offline)"),
        ("authorizing", "Allow USB debugging"),
        ("connecting", "is still connecting"),
        ("recovery", "does not run Android now (recovery); start it with `adb -s R1 reboot`"),
        ("\x1b[2Jodd", "([2Jodd)"),
    ],
)
def test_each_state_says_what_to_do(state: str, said: str) -> None:
    message = str(unusable("board", "R1", [("R1", state)]))
    assert said in message
    assert message.isprintable()
    assert "then run the same command again" in message


def test_a_device_without_a_readable_serial_is_likely_the_one() -> None:
    attached = [("????????????", "no permissions (user is not in the plugdev group); see [http://x]")]
    message = str(unusable("board", "R1", attached))
    assert "(attached: ???????????? (no permissions)); install the rules for USB ports" in message


def test_two_devices_that_share_a_serial() -> None:
    message = str(unusable("board", "R1", [("R1", "device"), ("R2", "device"), ("R1", "offline")]))
    assert message == "device board: adb sees 2 devices R1; unplug all but one, then run the same command again"


def test_a_server_that_cannot_start(monkeypatch: pytest.MonkeyPatch, phone: Phone) -> None:
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "99999999")
    assert "the adb server does not work: " in _refusal(phone.serial)


def test_a_port_that_something_else_holds(monkeypatch: pytest.MonkeyPatch, phone: Phone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(silent.getsockname()[1]))
        with pytest.raises(DeviceTimeoutError, match=r"starting the adb server took more than 3 s; .* hold its port"):
            AdbLink("board", phone.serial, limits=SHORT)


def test_a_server_that_is_away_is_started(
    monkeypatch: pytest.MonkeyPatch, adb_server: AdbServer, tmp_path: Path
) -> None:
    other = AdbServer(adb_server.program, tmp_path, free_port())
    for name, value in (("HOME", str(tmp_path)), ("TMPDIR", str(tmp_path)), ("ADB_LOCAL_TRANSPORT_MAX_PORT", "1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", str(other.port))
    try:
        assert "adb sees no device R58M123 (attached: none)" in _refusal("R58M123", AdbLimits())
    finally:
        other.stop()


@pytest.mark.parametrize(
    ("script", "said"),
    [("echo This phone is closed.; exit 1", "This phone is closed."), ("exit 0", "adb said nothing")],
)
def test_a_shell_that_runs_nothing(start_phone: Callable[..., Phone], tmp_path: Path, script: str, said: str) -> None:
    shell = tmp_path / "shell"
    shell.write_text(f"#!/bin/sh\n{script}\n")
    shell.chmod(0o755)
    phone = start_phone(shell=str(shell))
    link = AdbLink("board", phone.serial)
    with pytest.raises(DeviceError, match=f"the command true failed: {said}; see whether `adb -s {phone.serial} "):
        link.run(["true"], timeout=20)


def test_the_server_of_the_user_is_left_running(phone: Phone, adb_server: AdbServer) -> None:
    AdbLink("board", phone.serial).close()
    assert phone.serial in adb_server.run("devices")
