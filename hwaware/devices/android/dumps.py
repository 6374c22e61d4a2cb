"""The state of an Android, out of the texts that `dumpsys` prints for people.

Nothing promises their form, so each value is looked for by itself, in the one form that all versions print.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hwaware.devices.device import Device
from hwaware.devices.output import one_line
from hwaware.errors import AgentError

_DUMP_S = 30.0
_MOST_CHARACTERS = 1 << 20
_THERMAL = re.compile(r"^[ \t]{0,8}Thermal Status: ([0-9]{1,2})[ \t]{0,8}$", re.MULTILINE)
_WAKEFULNESS = re.compile(r"^[ \t]{0,8}m(?:Global)?Wakefulness=([A-Za-z]{1,20})[ \t]{0,8}$", re.MULTILINE)
_FIELD = re.compile(r"^[ \t]{0,8}([A-Za-z][A-Za-z ]{0,30}): ([ -~]{1,60})$", re.MULTILINE)
_INTEGER = re.compile(r"-?[0-9]{1,6}")
_POWERED = ("AC powered", "USB powered", "Wireless powered", "Dock powered")


@dataclass(frozen=True)
class Battery:
    """Charge in percent, temperature in thousandths of a degree Celsius, and whether it is being charged."""

    percent: int
    milli_c: int
    charging: bool


def thermal_status(device: Device) -> int:
    """0 (none) to 6 (shutdown); known from Android 10 on. Raises AgentError."""
    text = _dump(device, "thermalservice")
    found = _THERMAL.search(text)
    if found is None:
        raise _no_answer(device, "thermalservice", text)
    return int(found[1])


def battery(device: Device) -> Battery | None:
    """The battery's state, None for a board without one. Raises AgentError."""
    text = _dump(device, "battery")
    fields: dict[str, str] = {}
    for name, value in _FIELD.findall(text):
        fields.setdefault(name, value)
    if fields.get("present") == "false":
        return None
    numbers = [fields.get(name, "") for name in ("level", "scale", "temperature")]
    if not all(_INTEGER.fullmatch(number) for number in numbers):
        raise _no_answer(device, "battery", text)
    level, scale, tenths_c = map(int, numbers)
    if not 0 <= level <= scale or scale == 0:
        raise _no_answer(device, "battery", text)
    return Battery(100 * level // scale, 100 * tenths_c, any(fields.get(name) == "true" for name in _POWERED))


def screen_on(device: Device) -> bool | None:
    """Whether the screen is lit, None where that cannot be told."""
    found = _WAKEFULNESS.search(_dump(device, "power"))
    return None if found is None else found[1] == "Awake"


def _dump(device: Device, service: str) -> str:
    return device.transport.run(["dumpsys", service], timeout=_DUMP_S).stdout[:_MOST_CHARACTERS]


def _no_answer(device: Device, service: str, text: str) -> AgentError:
    said = one_line(text[:1000], 120) or "nothing"
    return AgentError(
        f"device {device.name}: `dumpsys {service}` answered what hwaware does not understand ({said}); wait until "
        "it has started up, then run the same command again"
    )
