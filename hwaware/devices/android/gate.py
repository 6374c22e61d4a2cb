"""Whether an Android may be measured now: cool, and with a battery that does not make it save power."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from hwaware.devices.android.dumps import Battery, battery, screen_on, thermal_status
from hwaware.devices.device import Device
from hwaware.errors import DeviceError

COOL_S = 300.0
LEAST_PERCENT = 25
MOST_MILLI_C = 40_000
_POLL_S = 5.0
_FIRST_THERMAL_API = 29
_STATUSES = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")


@dataclass(frozen=True)
class AndroidState:
    """The state in which measuring began; None for what the device cannot tell or does not have."""

    thermal_status: int | None
    battery: Battery | None
    screen_on: bool | None


@dataclass(frozen=True)
class Gate:
    """Lets a measurement begin on `device`, of API level `api`, or go on.

    A throttled device is waited for, up to `cool_s` seconds; `on_wait` is told so once each time.
    """

    device: Device
    api: int
    cool_s: float = COOL_S
    on_wait: Callable[[str], None] | None = None

    def enter(self) -> AndroidState:
        """Raises DeviceError, saying what to do, where waiting did not help or cannot."""
        charge = battery(self.device)
        if charge is not None:
            self._check(charge)
        return AndroidState(self._cool(), charge, screen_on(self.device))

    def _check(self, charge: Battery) -> None:
        if charge.percent < LEAST_PERCENT:
            raise DeviceError(
                f"device {self.device.name}: its battery is at {charge.percent} %, and below {LEAST_PERCENT} % it may "
                "save power; charge it, then run the same command again"
            )
        if charge.milli_c > MOST_MILLI_C:
            raise DeviceError(
                f"device {self.device.name}: its battery has {charge.milli_c / 1000:.1f} °C, more than "
                f"{MOST_MILLI_C / 1000:g}; take it off the charger and out of the sun, then run the same command again"
            )

    def _cool(self) -> int | None:
        """The thermal status, once it is 0."""
        if self.api < _FIRST_THERMAL_API:
            return None
        deadline = time.monotonic() + self.cool_s
        told = False
        while (status := thermal_status(self.device)) != 0:
            what = f"device {self.device.name} is throttled (thermal status {status}, {_name(status)})"
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise DeviceError(
                    f"{what} even after {self.cool_s:g} s; take it off the charger, out of its case and out of the "
                    "sun, then run the same command again"
                )
            if self.on_wait is not None and not told:
                self.on_wait(f"{what}; waiting up to {remaining:.0f} s until it has cooled")
                told = True
            time.sleep(min(_POLL_S, remaining))
        return status


def _name(status: int) -> str:
    return _STATUSES[status] if status < len(_STATUSES) else "unknown"
