"""A device behind `adb`: an Android phone or board, by USB or network, as its shell user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwaware.devices.adb_client import AdbClient, AdbLimits
from hwaware.devices.adb_command import run_command
from hwaware.devices.adb_files import receive_file, send_file
from hwaware.devices.link import Completed, OnLine


class AdbLink:
    """Link over ADB; see Link for what the methods promise. Asks at once whether the device can be used."""

    def __init__(self, name: str, serial: str, *, limits: AdbLimits | None = None) -> None:
        self._client = AdbClient(name, serial, limits or AdbLimits())

    @property
    def name(self) -> str:
        return self._client.name

    def run(self, argv: Sequence[str], *, timeout: float, on_line: OnLine | None = None) -> Completed:
        return run_command(self._client, argv, timeout=timeout, on_line=on_line)

    def send(self, local: Path, remote: str) -> None:
        send_file(self._client, local, remote)

    def receive(self, remote: str, local: Path) -> None:
        receive_file(self._client, remote, local)

    def close(self) -> None:
        """Nothing is held open: the adb server belongs to the user."""
