"""The power mode of a Jetson, from an nvpmodel that stands where a login's PATH finds it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.devices.device import open_device
from hwaware.devices.facts import DeviceFacts
from hwaware.devices.power_mode import power_mode
from hwaware.profiling.conditions import device_conditions
from tests.devices.conftest import add_board
from tests.devices.test_facts import PI
from tests.sshd import Sshd

ORIN = DeviceFacts.from_dict(PI | {"compatible": ["nvidia,p3768-0000+p3767-0005", "nvidia,tegra234"]}, "orin")


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    folder = tmp_path / "tools"
    folder.mkdir()
    return folder


def nvpmodel(folder: Path, script: str) -> None:
    (folder / "nvpmodel").write_text(f'#!/bin/sh\n[ "$1" = -q ] || exit 1\n{script}\n')
    (folder / "nvpmodel").chmod(0o755)


@pytest.mark.parametrize(
    ("script", "mode"),
    [
        ("echo 'NV Power Mode: 15W'; echo 2", "15W"),
        ("echo 'NV Fan Mode:quiet'; echo 'NV Power Mode: MODE_30W_ALL '; echo 2", "MODE_30W_ALL"),
        ("echo 'Error opening the config' >&2; exit 255", None),
        ("echo 'NV Power Mode: '", None),
        (None, None),
    ],
)
def test_the_mode_of_a_jetson(
    start: Callable[..., Sshd], devices_home: Path, tools: Path, script: str | None, mode: str | None
) -> None:
    if script is not None:
        nvpmodel(tools, script)
    add_board(start({"PATH": f"{tools}:/usr/bin:/bin"}))
    with open_device("board") as board:
        assert power_mode(board.transport, ORIN) == mode


def test_other_boards_are_not_asked(start: Callable[..., Sshd], devices_home: Path, tools: Path) -> None:
    nvpmodel(tools, "echo 'NV Power Mode: 15W'")
    add_board(start({"PATH": f"{tools}:/usr/bin:/bin"}))
    with open_device("board") as board:
        assert power_mode(board.transport, DeviceFacts.from_dict(PI, "pi4")) is None


def test_the_mode_is_one_of_the_conditions() -> None:
    assert device_conditions(ORIN)["power_mode"] is None
    assert device_conditions(replace(ORIN, power_mode="15W"))["power_mode"] == "15W"
