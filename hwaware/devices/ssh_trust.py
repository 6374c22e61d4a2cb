"""Accepting host keys: of a device and of the jump hosts on the way to it, in the order of the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hwaware.devices.address import SshAddress, parse_address
from hwaware.devices.host_keys import changed_key, described, store_host_key, trusted_key
from hwaware.devices.inventory import DeviceEntry, Inventory
from hwaware.devices.ssh_config import route_to
from hwaware.devices.ssh_connect import fetch_host_key, open_hop
from hwaware.devices.ssh_hop import OpenHop, SshHop
from hwaware.devices.ssh_limits import Timeouts
from hwaware.devices.ssh_questions import Ask
from hwaware.errors import DeviceError, HostKeyError

if TYPE_CHECKING:
    from paramiko import PKey


@dataclass(frozen=True)
class TrustedHop:
    """A server whose key has just been accepted and stored."""

    hop: SshHop
    key: PKey

    def document(self) -> dict[str, str]:
        """As JSON."""
        return {"address": self.hop.login, "key_type": self.key.get_name(), "fingerprint": self.key.fingerprint}


def trust_route(
    device: str,
    route: Sequence[SshHop],
    known_hosts: Path,
    ask: Ask | None,
    *,
    fingerprint: str | None,
    replace: bool,
) -> Iterator[TrustedHop]:
    """Store the key that each server of `route` shows; a jump host is logged in to once its key is stored.

    `fingerprint` is that of the device's own key; its jump hosts must be trusted before. `replace` accepts keys that
    have changed. Raises HostKeyError or another DeviceError; what came before stays stored.
    """
    timeouts = Timeouts()
    previous: OpenHop | None = None
    with ExitStack() as stack:
        for hop in route:
            known = trusted_key(known_hosts, hop.key_name)
            key = fetch_host_key(device, hop, timeouts, known, previous)
            if fingerprint is not None:
                _compare(device, hop, key, known, fingerprint)
            if known is not None and known != key and not replace:
                raise changed_key(device, hop, key, known)
            store_host_key(known_hosts, hop.key_name, key)
            yield TrustedHop(hop, key)
            if hop.is_jump:
                previous = open_hop(device, hop, previous, known_hosts, ask, timeouts)
                stack.callback(previous.transport.close)


def _compare(device: str, hop: SshHop, key: PKey, known: PKey | None, fingerprint: str) -> None:
    # One list of fingerprints for all would not do: a jump host could show its own key as the device's.
    if hop.is_jump and key != known:
        raise HostKeyError(
            f"device {device}: the host key of {hop} is not trusted ({described(key)}), and --fingerprint is for the "
            "device itself; trust the jump host first, as a device of its own: `hwaware devices add NAME "
            f"ssh://{hop.login}` and `hwaware devices trust NAME --fingerprint SHA256:...`"
        )
    if not hop.is_jump and key.fingerprint != fingerprint:
        raise HostKeyError(
            f"device {device}: {hop} shows {described(key)}, not {fingerprint}; nothing of it was stored"
        )


def key_names(entry: DeviceEntry) -> set[str]:
    """Under which names the keys of the servers on the way to `entry` are kept. Raises DeviceError."""
    address = parse_address(entry.url)
    if not isinstance(address, SshAddress):
        return set()
    return {hop.key_name for hop in route_to(entry.name, address)}


def forget_keys(inventory: Inventory, names: set[str]) -> None:
    """Forget the keys called `names` that no device of `inventory` needs."""
    needed: set[str] = set()
    for entry in inventory.entries().values():
        try:
            needed |= key_names(entry)
        except DeviceError:
            continue  # its way is not known now: at worst its keys have to be accepted again
    for name in sorted(names - needed):
        store_host_key(inventory.known_hosts, name, None)
