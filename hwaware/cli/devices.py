"""`hwaware devices`: the inventory of boards, and what they are."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwaware.cli.output import emit, note
from hwaware.errors import DeviceError

if TYPE_CHECKING:
    from hwaware.devices.inventory import DeviceEntry

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
    add.add_argument(
        "url",
        metavar="URL",
        help="local, ssh://[USER@]HOST[:PORT] (HOST may be an alias of ~/.ssh/config) or adb:SERIAL",
    )
    add.add_argument("--key", metavar="FILE", help="private SSH key; without it the ssh-agent and ~/.ssh are asked")
    add.add_argument("--cache", metavar="FOLDER", help="hwaware's folder on the device (absolute)")
    add.add_argument("--trust", action="store_true", help="accept the host keys that it shows now, as `trust` does")
    add.add_argument("--force", action="store_true", help="replace a device of the same name")
    trust = action("trust", "accept the host keys that an SSH device and its jump hosts show", _trust)
    trust.add_argument("name", metavar="NAME")
    trust.add_argument("--fingerprint", metavar="SHA256:...", help="accept this key of the device and no other")
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
    for option, given in (("--key FILE", key is not None), ("--trust", args.trust)):
        if given and not is_ssh:
            raise DeviceError(f"{option} is for ssh:// devices only")
    if key is not None and not os.path.isfile(key):
        raise DeviceError(f"the key file {key} does not exist; make one with `ssh-keygen -t ed25519 -f {args.key}`")
    entry = DeviceEntry(args.name, args.url, key, args.cache)
    Inventory().add(entry, force=args.force)
    if args.trust:
        note(f"added {entry.name} ({entry.url})")  # it stays, even where it does not answer now
        told, text = _trusted(entry)
        follow = f"hwaware profile MODEL --device {entry.name}"
        emit(args, asdict(entry) | told | {"next": follow}, f"{text}; next: {follow}")
        return 0
    follow = f"hwaware devices {'trust' if is_ssh else 'show'} {entry.name}"
    emit(args, asdict(entry) | {"next": follow}, f"added {entry.name} ({entry.url}); next: {follow}")
    return 0


def _trust(args: argparse.Namespace) -> int:
    from hwaware.devices.inventory import Inventory

    told, text = _trusted(Inventory().find(args.name), args.fingerprint, replace=args.replace)
    follow = f"hwaware devices show {args.name}"
    emit(args, {"name": args.name, **told, "next": follow}, f"{text}; next: {follow}")
    return 0


def _trusted(
    entry: DeviceEntry, fingerprint: str | None = None, *, replace: bool = False
) -> tuple[dict[str, Any], str]:
    """Accept the keys on the way to `entry`; which they are, as a document and in words."""
    from hwaware.devices.address import SshAddress, parse_address
    from hwaware.devices.host_keys import described
    from hwaware.devices.inventory import Inventory
    from hwaware.devices.ssh_config import route_to
    from hwaware.devices.ssh_questions import terminal
    from hwaware.devices.ssh_trust import trust_route

    address = parse_address(entry.url)
    if not isinstance(address, SshAddress):
        raise DeviceError(f"device {entry.name} ({entry.url}) is not an SSH device and has no host key to trust")
    trusted = []
    for one in trust_route(
        entry.name,
        route_to(entry.name, address),
        Inventory().known_hosts,
        terminal(),
        fingerprint=fingerprint,
        replace=replace,
    ):
        trusted.append(one)
        if one.hop.is_jump:
            note(f"trusted {one.hop}: {described(one.key)}")
    told = [one.document() for one in trusted]
    if not fingerprint:
        note("on the board, `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` (or the key's type) prints the same")
    return {**told[-1], "jump_hosts": told[:-1]}, f"trusted {trusted[-1].hop}: {described(trusted[-1].key)}"


def _show(args: argparse.Namespace) -> int:
    from hwaware.cli.device_rows import fact_rows
    from hwaware.cli.device_targets import device_targets
    from hwaware.devices.device import open_device

    with open_device(args.name) as device:
        # Only a device that answers is worth loading the compiler for.
        from hwaware.profiling.target import device_facts

        facts = device_facts(device)
        targets = device_targets(device, facts)
        document = {
            "name": device.name,
            "url": device.url,
            "cache": device.transport.cache,
            "facts": facts.as_dict(),
            "fingerprint": facts.fingerprint(),
            **{name: found for name, _, found, _ in targets},
        }
        rows = [
            ("device", f"{device.name} ({device.url})"),
            *fact_rows(facts),
            *((label, text) for _, label, _, text in targets),
            ("cache", device.transport.cache),
        ]
    width = max(len(label) for label, _ in rows)
    emit(args, document, "\n".join(f"{label:<{width}}  {value}" for label, value in rows))
    return 0


def _clean(args: argparse.Namespace) -> int:
    from hwaware.devices.device import open_device

    with open_device(args.name) as device:
        removed, cache = device.transport.clean(), device.transport.cache
    emit(
        args,
        {"name": args.name, "cache": cache, "removed": removed},
        f"removed {removed} upload{'' if removed == 1 else 's'} from {cache}",
    )
    return 0


def _remove(args: argparse.Namespace) -> int:
    from hwaware.devices.inventory import Inventory
    from hwaware.devices.ssh_trust import forget_keys, key_names

    inventory = Inventory()
    entry = inventory.remove(args.name)
    try:
        forget_keys(inventory, key_names(entry))
    except DeviceError as error:
        note(f"its host key is kept: {error}")
    emit(args, {"removed": entry.name}, f"removed {entry.name} ({entry.url})")
    return 0
