"""A device behind an SSH server: any POSIX login shell will do, and nothing of ours is installed there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hwaware.devices.address import SshAddress
from hwaware.devices.link import Completed, OnLine
from hwaware.devices.ssh_command import run_command
from hwaware.devices.ssh_config import route_to
from hwaware.devices.ssh_connect import connect
from hwaware.devices.ssh_files import receive_file, send_file
from hwaware.devices.ssh_limits import Timeouts
from hwaware.devices.ssh_questions import Ask, terminal
from hwaware.devices.ssh_session import SshSession


class SshLink:
    """Link over SSH; see Link for what the methods promise. Connects and logs in at once.

    `ask` answers what keys do not: passwords and passphrases, by default those typed on the terminal.
    """

    def __init__(
        self,
        name: str,
        address: SshAddress,
        *,
        key_file: str | None,
        known_hosts: Path,
        timeouts: Timeouts | None = None,
        ask: Ask | None = None,
    ) -> None:
        limits = timeouts or Timeouts()
        route = route_to(name, address, key_file)
        self._session = SshSession(name, connect(name, route, known_hosts, ask or terminal(), limits), limits)

    @property
    def name(self) -> str:
        return self._session.name

    def run(self, argv: Sequence[str], *, timeout: float, on_line: OnLine | None = None) -> Completed:
        return run_command(self._session, argv, timeout=timeout, on_line=on_line)

    def send(self, local: Path, remote: str) -> None:
        send_file(self._session, local, remote)

    def receive(self, remote: str, local: Path) -> None:
        receive_file(self._session, remote, local)

    def close(self) -> None:
        self._session.close()
