"""Whether a cost table answers for a device that is connected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwaware.compiler.versions import toolchain_identity
from hwaware.costs.identity import check_identity, power_of
from hwaware.costs.manifest import Manifest
from hwaware.devices.address import AdbAddress, parse_address
from hwaware.devices.device import Device
from hwaware.profiling.conditions import device_conditions
from hwaware.profiling.target import device_facts, target_of


def identity_here(
    device: Device,
    *,
    threads: int | None = None,
    protocol: str | None = None,
    unit: str | None = None,
    like: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What `device` is, as `costs.identity` compares it; `threads` and `protocol` only where they are known.

    `unit` is what computes, by default as in `target_of`; `like` is the target of what it is compared with. Raises
    DeviceError where it has no such unit.
    """
    facts = device_facts(device)
    here: dict[str, Any] = {
        "device": facts.fingerprint(),
        "emulated": facts.emulated,
        "toolchain": toolchain_identity(target_of(device, unit, like=like)),
    }
    # An Android is put into the mode that its tables were measured in when it is measured.
    if not isinstance(parse_address(device.url), AdbAddress):
        here["power"] = power_of(device_conditions(facts))
    asked = {"threads": threads, "protocol": protocol}
    return here | {name: value for name, value in asked.items() if value is not None}


def check_table(manifest: Manifest, device: Device, *, threads: int | None = None, protocol: str | None = None) -> None:
    """Raise TableError, naming the first difference, where the table of `manifest` is not of `device` as it is now."""
    here = identity_here(device, threads=threads, protocol=protocol, unit=manifest.unit, like=manifest.target)
    check_identity(manifest, here)
