"""A phone as a user adds it: `hwaware devices`, and what comes of it."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.devices.android.build import with_build
from hwaware.devices.device import open_device
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.errors import DeviceError
from tests.adb.phone import Phone


def _hwaware(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["devices", *words])
    out, err = capsys.readouterr()
    return status, err or out


@pytest.mark.parametrize("kind", ["phone", "old_phone"])
def test_the_way_of_a_new_phone(
    request: pytest.FixtureRequest, devices_home: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    phone: Phone = request.getfixturevalue(kind)
    status, said = _hwaware(capsys, "add", "pixel", f"adb:{phone.serial}")
    assert status == 0
    assert "next: hwaware devices show pixel" in said
    status, said = _hwaware(capsys, "show", "pixel")
    assert status == 0, said
    assert platform.release() in said
    assert f"pixel (adb:{phone.serial})" in said
    assert str(devices_home / "remote cache") in said
    status, said = _hwaware(capsys, "clean", "pixel")
    assert status == 0
    assert "removed 1 upload" in said


@pytest.mark.usefixtures("devices_home", "adb_server")
def test_a_phone_that_is_absent_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    _hwaware(capsys, "add", "pixel", "adb:R58M123")
    status, said = _hwaware(capsys, "show", "pixel")
    assert status == 1
    assert said.startswith("error: device pixel: adb sees no device R58M123")
    assert said.count("\n") == 1


@pytest.mark.usefixtures("devices_home")
def test_facts(phone: Phone, agent: Path) -> None:
    Inventory().add(DeviceEntry("pixel", f"adb:{phone.serial}"))
    with open_device("pixel") as device:
        assert device.machine() == platform.machine()
        facts = device.facts(lambda machine: agent)
        assert facts.kernel == platform.release()
        # An agent on a phone finds neither a model nor a system; the one here finds those of this machine.
        untold = with_build(replace(facts, machine_model=None, os=None), device.transport)
        assert (untold.machine_model, untold.os) == ("Phone 7", "Android (API 33)")
        assert with_build(replace(facts, machine_model="Board", os="Linux"), device.transport).machine_model == "Board"


@pytest.mark.usefixtures("devices_home")
def test_the_cache_is_where_the_shell_user_may_run_programs(
    monkeypatch: pytest.MonkeyPatch, start_phone: Callable[..., Phone]
) -> None:
    monkeypatch.delenv("HWAWARE_REMOTE_CACHE")
    phone = start_phone()
    mkdir = phone.commands.bin / "mkdir"
    mkdir.write_text('#!/bin/sh\necho "mkdir $*: Permission denied" >&2\nexit 1\n')
    mkdir.chmod(0o755)
    Inventory().add(DeviceEntry("pixel", f"adb:{phone.serial}"))
    with (
        open_device("pixel") as device,
        pytest.raises(DeviceError, match=r"\(mkdir -p /data/local/tmp/hwaware: Permission denied\); name one"),
    ):
        _ = device.transport.cache
