"""The modes a device is measured in: `with measuring_modes(device) as modes:` around what is measured.

Androids are let cool, kept from measuring on a low battery, and set to a fixed performance. For other devices, whose
agent sees to that, nothing is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from hwaware.devices.address import AdbAddress, parse_address
from hwaware.devices.android.build import AndroidBuild, read_build
from hwaware.devices.android.fixed_performance import FixedPerformance, fixed_performance
from hwaware.devices.android.gate import COOL_S, AndroidState, Gate
from hwaware.devices.device import Device

FIXED = "fixed-performance"
_LEASE_WAIT_S = 300.0


@dataclass(frozen=True)
class Modes:
    """What was set up. `conditions` belong into a table's or report's; `power_mode` among them is part of its identity.

    `settle` is for what is measured for long.
    """

    conditions: Mapping[str, Any] = field(default_factory=dict)
    gate: Gate | None = None

    def settle(self) -> None:
        """Wait until the device may be measured on; for long measurements, from time to time. Raises DeviceError."""
        if self.gate is not None:
            self.gate.enter()


_HELD: WeakKeyDictionary[Device, Modes] = WeakKeyDictionary()


@contextmanager
def measuring_modes(
    device: Device,
    *,
    fixed: bool = True,
    cool_s: float = COOL_S,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[Modes]:
    """Hold the lease of `device` and its modes; inside another `measuring_modes` of it these are held already.

    Not `fixed`: clocks are left to the system, as the protocol ``as-shipped`` wants it. A throttled device is waited
    for up to `cool_s` seconds, and `on_wait` told so. However this ends, on this side or by a lost connection, the
    modes end too. Raises DeviceError where the device may not be measured now, AgentError for odd answers.
    """
    if not isinstance(parse_address(device.url), AdbAddress):
        yield Modes()
        return
    if device in _HELD:
        yield _HELD[device]
        return
    with device.transport.lease(_LEASE_WAIT_S, on_wait):
        build = read_build(device.transport)
        if build is None:
            yield Modes()
            return
        gate = Gate(device, build.api, cool_s, on_wait)
        state = gate.enter()
        with _performance(device, build.api, fixed) as performance:
            _HELD[device] = Modes(_conditions(build, state, performance), gate)
            try:
                yield _HELD[device]
            finally:
                del _HELD[device]


@contextmanager
def _performance(device: Device, api: int, fixed: bool) -> Iterator[FixedPerformance]:
    if not fixed:
        yield FixedPerformance(False, "the protocol leaves the clocks to the system")
        return
    with fixed_performance(device, api) as mode:
        yield mode


def _conditions(build: AndroidBuild, state: AndroidState, performance: FixedPerformance) -> dict[str, Any]:
    battery = state.battery
    return {
        "power_mode": FIXED if performance.on else None,
        "power_mode_reason": performance.reason,
        "android_fingerprint": build.fingerprint,
        "android_model": build.model,
        "android_soc": build.soc,
        "android_api": build.api,
        "thermal_status": state.thermal_status,
        "battery_percent": None if battery is None else battery.percent,
        "battery_milli_c": None if battery is None else battery.milli_c,
        "charging": None if battery is None else battery.charging,
        "screen_on": state.screen_on,
    }
