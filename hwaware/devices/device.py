"""A device by its name: what it is, and the way to it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from hwaware.devices.address import AdbAddress, LocalAddress, parse_address
from hwaware.devices.android.build import with_build
from hwaware.devices.cache import ADB_CANDIDATES, SSH_CANDIDATES
from hwaware.devices.facts import DeviceFacts
from hwaware.devices.gpu import gpu_of
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.link import Link
from hwaware.devices.local import LocalLink
from hwaware.devices.output import one_line
from hwaware.devices.power_mode import power_mode
from hwaware.devices.transport import Transport
from hwaware.errors import AgentError

_MACHINE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_UNAME_S = 30.0
_INFO_S = 60.0


class Device:
    """A connected device; close it, or use it as a context manager."""

    def __init__(self, entry: DeviceEntry, transport: Transport) -> None:
        self.name = entry.name
        self.url = entry.url
        self.transport = transport
        self._machine: str | None = None
        self._facts: DeviceFacts | None = None

    def machine(self) -> str:
        """What `uname -m` says: the architecture to build for (x86_64, aarch64, armv7l, riscv64, ...)."""
        if self._machine is None:
            done = self.transport.run(["uname", "-m"], timeout=_UNAME_S)
            machine = done.stdout.strip()
            if done.returncode != 0 or not _MACHINE.fullmatch(machine):
                said = one_line(done.stderr or done.stdout) or f"exit {done.returncode}"
                raise AgentError(f"device {self.name}: `uname -m` answered {said!r}; is it a Linux or Android system?")
            self._machine = machine
        return self._machine

    def facts(self, build_agent: Callable[[str], Path]) -> DeviceFacts:
        """What the device is; asked once. `build_agent` gives an agent executable for a `uname -m` word."""
        if self._facts is None:
            agent = self.transport.push(build_agent(self.machine()))
            done = self.transport.run([agent, "info"], timeout=_INFO_S)
            if done.returncode != 0:
                said = one_line(done.stderr or done.stdout) or "nothing"
                raise AgentError(
                    f"device {self.name}: the agent for {self.machine()} ended with status "
                    f"{done.returncode}, it "
                    f"said: {said}"
                )
            facts = DeviceFacts.from_json(done.stdout, f"device {self.name}")
            # The agent cannot hash itself; it lies under its hash.
            told = replace(facts, agent_sha256=agent.split("/")[-2])
            gpu = gpu_of(self.transport, told.compatible, build_agent)
            told = replace(told, power_mode=power_mode(self.transport, told), gpu=gpu)
            is_adb = isinstance(parse_address(self.url), AdbAddress)
            self._facts = with_build(told, self.transport) if is_adb else told
        return self._facts

    def close(self) -> None:
        """End the connection."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_device(name: str, inventory: Inventory | None = None) -> Device:
    """Connect to the device called `name`. Raises DeviceError, HostKeyError or DeviceTimeoutError."""
    known = inventory or Inventory()
    entry = known.find(name)
    link, candidates = _link(entry, known)
    return Device(entry, Transport(link, candidates))


def _link(entry: DeviceEntry, inventory: Inventory) -> tuple[Link, tuple[str, ...]]:
    """The way to the device, and where hwaware's folder may be on it."""
    address = parse_address(entry.url)
    if isinstance(address, LocalAddress):
        return LocalLink(entry.name), _local_candidates(entry)
    chosen = os.environ.get("HWAWARE_REMOTE_CACHE") or entry.cache
    if isinstance(address, AdbAddress):
        from hwaware.devices.adb import AdbLink

        return AdbLink(entry.name, address.serial), (chosen,) if chosen else ADB_CANDIDATES
    from hwaware.devices.ssh import SshLink

    link = SshLink(entry.name, address, key_file=entry.key_file, known_hosts=inventory.known_hosts)
    return link, (chosen,) if chosen else SSH_CANDIDATES


def _local_candidates(entry: DeviceEntry) -> tuple[str, ...]:
    import platformdirs

    chosen = os.environ.get("HWAWARE_CACHE") or entry.cache
    if chosen:
        return (str(Path(chosen).absolute()),)
    return (platformdirs.user_cache_dir("hwaware"), *SSH_CANDIDATES[1:2])
