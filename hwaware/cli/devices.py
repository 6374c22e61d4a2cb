"""`hwaware devices`: the inventory of boards, and what they are."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from hwaware.cli.output import emit, note
from hwaware.errors import DeviceError, HostKeyError

if TYPE_CHECKING:
    from hwaware.devices.facts import DeviceFacts

HELP = "list, add, trust, show, clean and remove devices"
EXAMPLE = "hwaware devices add pi4 ssh://pi@raspberrypi.local && hwaware devices trust pi4"


def configure(parser: argparse.ArgumentParser) -> None:
    """Options of the verb: one sub-command each, `list` if none is given."""
    parser.set_defaults(action=_list)
    actions = parser.add_subparsers(metavar="ACTION")

    def action(name: str, help_line: str, run: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, help=help_line, description=help_line[0].upper() + help_line[1:] + ".")
        # Suppressed unless given, so that `devices --json list` and `devices list --json` are the same.
        for flag, text in (("--json", "print one JSON document on stdout"), ("--debug", "show tracebacks")):
            sub.add_argument(flag, action="store_true", default=argparse.SUPPRESS, help=text)
        sub.set_defaults(action=run)
        return sub

    action("list", "list the known devices", _list)
    add = action("add", "add a device", _add)
    add.add_argument("name", metavar="NAME", help="1 to 64 of A-Z a-z 0-9 . _ -")
    add.add_argument("url", metavar="URL", help="local, ssh://USER@HOST[:PORT] or adb:SERIAL")
    add.add_argument("--key", metavar="FILE", help="private SSH key; without it the ssh-agent and ~/.ssh are asked")
    add.add_argument("--cache", metavar="FOLDER", help="hwaware's folder on the device (absolute)")
    add.add_argument("--force", action="store_true", help="replace a device of the same name")
    trust = action("trust", "accept the host key that an SSH device shows", _trust)
    trust.add_argument("name", metavar="NAME")
    trust.add_argument("--fingerprint", metavar="SHA256:...", help="accept this key and no other")
    trust.add_argument("--replace", action="store_true", help="accept a key that has changed")
    for name, help_line, run in (
        ("show", "connect to a device and tell what it is", _show),
        ("clean", "remove hwaware's uploads from a device", _clean),
        ("remove", "forget a device", _remove),
    ):
        action(name, help_line, run).add_argument("name", metavar="NAME")


def run(args: argparse.Namespace) -> int:
    """Run the chosen sub-command."""
    return int(args.action(args))


def _list(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from hwaware.devices.inventory import Inventory

    inventory = Inventory()
    entries = list(inventory.entries().values())
    width = max(len(entry.name) for entry in entries)
    lines = [f"{entry.name:<{width}}  {entry.url}" for entry in entries]
    emit(
        args,
        {"inventory": str(inventory.path), "devices": [asdict(entry) for entry in entries]},
        "\n".join(lines),
    )
    return 0


def _add(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from hwaware.devices.address import SshAddress, parse_address
    from hwaware.devices.inventory import DeviceEntry, Inventory

    is_ssh = isinstance(parse_address(args.url), SshAddress)
    key = os.path.abspath(os.path.expanduser(args.key)) if args.key else None
    if key is not None and not is_ssh:
        raise DeviceError("--key FILE is for ssh:// devices only")
    if key is not None and not os.path.isfile(key):
        raise DeviceError(f"the key file {key} does not exist; make one with `ssh-keygen -t ed25519 -f {args.key}`")
    entry = DeviceEntry(args.name, args.url, key, args.cache)
    Inventory().add(entry, force=args.force)
    follow = f"hwaware devices {'trust' if is_ssh else 'show'} {entry.name}"
    emit(args, asdict(entry) | {"next": follow}, f"added {entry.name} ({entry.url}); next: {follow}")
    return 0


def _trust(args: argparse.Namespace) -> int:
    from hwaware.devices.address import SshAddress, parse_address
    from hwaware.devices.host_keys import changed_key, described, store_host_key, trusted_key
    from hwaware.devices.inventory import Inventory
    from hwaware.devices.ssh_connect import Timeouts, fetch_host_key

    inventory = Inventory()
    entry = inventory.find(args.name)
    address = parse_address(entry.url)
    if not isinstance(address, SshAddress):
        raise DeviceError(f"device {entry.name} ({entry.url}) is not an SSH device and has no host key to trust")
    known = trusted_key(inventory.known_hosts, address)
    key = fetch_host_key(entry.name, address, Timeouts(), known)
    if args.fingerprint and key.fingerprint != args.fingerprint:
        raise HostKeyError(
            f"device {entry.name}: {address} shows {described(key)}, not {args.fingerprint}; nothing was stored"
        )
    if known is not None and known != key and not args.replace:
        raise changed_key(entry.name, address, key, known)
    store_host_key(inventory.known_hosts, address, key)
    follow = f"hwaware devices show {entry.name}"
    if not args.fingerprint:
        note("on the board, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` (or the key's type) prints the same")
    emit(
        args,
        {"name": entry.name, "key_type": key.get_name(), "fingerprint": key.fingerprint, "next": follow},
        f"trusted {address}: {described(key)}; next: {follow}",
    )
    return 0


def _show(args: argparse.Namespace) -> int:
    from hwaware.devices.device import open_device

    with open_device(args.name) as device:
        # Only a device that answers is worth loading the compiler for.
        from hwaware.compiler.link import bare_agent

        facts = device.facts(bare_agent)
        document = {
            "name": device.name,
            "url": device.url,
            "cache": device.transport.cache,
            "facts": facts.as_dict(),
            "fingerprint": facts.fingerprint(),
        }
        rows = [("device", f"{device.name} ({device.url})"), *_rows(facts), ("cache", device.transport.cache)]
    width = max(len(label) for label, _ in rows)
    emit(args, document, "\n".join(f"{label:<{width}}  {value}" for label, value in rows))
    return 0


def _rows(facts: DeviceFacts) -> list[tuple[str, str]]:
    """Facts for people; MHz, GiB and degrees instead of the units of the document."""
    fastest = max((cpu.max_khz or 0 for cpu in facts.cpus), default=0)
    online = sum(cpu.online for cpu in facts.cpus)
    caches = sorted({(cache.level, cache.type, cache.bytes) for cache in facts.caches})
    unknown = "unknown"
    return [
        ("machine", facts.machine_model or unknown),
        ("system", f"{facts.os or unknown}, kernel {facts.kernel}"),
        ("processor", f"{facts.cpu_model or facts.cpu_part or unknown} ({facts.arch})"),
        (
            "cores",
            f"{online} of {len(facts.cpus)} online" + (f", up to {fastest / 1000:.0f} MHz" if fastest else ""),
        ),
        ("governor", ", ".join(sorted({cpu.governor for cpu in facts.cpus if cpu.governor})) or unknown),
        ("features", " ".join(facts.features) or unknown),
        ("caches", ", ".join(f"L{level} {kind} {size >> 10} KiB" for level, kind, size in caches) or unknown),
        ("memory", f"{facts.memory_bytes / (1 << 30):.1f} GiB, pages of {facts.page_bytes} bytes"),
        ("load", f"{facts.load1:.2f}"),
        ("temperature", ", ".join(f"{z.type} {z.milli_c / 1000:.0f} °C" for z in facts.thermal) or unknown),
        ("fingerprint", facts.fingerprint()["sha256"][:16]),
    ]


def _clean(args: argparse.Namespace) -> int:
    from hwaware.devices.device import open_device

    with open_device(args.name) as device:
        removed, cache = device.transport.clean(), device.transport.cache
    emit(
        args,
        {"name": args.name, "cache": cache, "removed": removed},
        f"removed {removed} uploads from {cache}",
    )
    return 0


def _remove(args: argparse.Namespace) -> int:
    from hwaware.devices.address import SshAddress, parse_address
    from hwaware.devices.host_keys import store_host_key
    from hwaware.devices.inventory import Inventory

    inventory = Inventory()
    entry = inventory.remove(args.name)
    address = parse_address(entry.url)
    others = [parse_address(other.url) for other in inventory.entries().values()]
    hosts = {other.host_key_name for other in others if isinstance(other, SshAddress)}
    if isinstance(address, SshAddress) and address.host_key_name not in hosts:
        store_host_key(inventory.known_hosts, address, None)
    emit(args, {"removed": entry.name}, f"removed {entry.name} ({entry.url})")
    return 0
