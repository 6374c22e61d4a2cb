"""Android's own commands, as far as hwaware asks them: scripts that answer from files and note what they are told."""

from __future__ import annotations

import shlex
from pathlib import Path

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: {powered}
  Wireless powered: false
  Max charging current: 500000
  status: 2
  health: 2
  present: true
  level: {level}
  scale: 100
  voltage: 4100
  temperature: {tenths_c}
  technology: Li-ion
"""
THERMAL = """IsStatusOverride: false
ThermalEventListeners:
\tcallbacks: 1
Thermal Status: {status}
Cached temperatures:
\tTemperature{{mValue=31.0, mType=3, mName=skin, mStatus=0}}
HAL Ready: true
"""
_GETPROP = """#!/bin/sh
cat {folder}/props/"$1" 2>/dev/null || echo
"""
_DUMPSYS = """#!/bin/sh
cat {folder}/dumps/"$1" 2>/dev/null || echo "Can't find service: $1"
"""
_CMD = """#!/bin/sh
if [ -e {folder}/no-power-hal ]; then
    echo 'Failed to set FIXED_PERFORMANCE mode' >&2
    exit 255
fi
echo "$1 $2 $3" >>{folder}/switches
"""
_SWITCH = "power set-fixed-performance-mode-enabled "


class AndroidCommands:
    """A cool Android 13 that is being charged, until it is told otherwise. Its commands are in `bin`."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "bin"
        self._folder = folder
        for name in ("bin", "props", "dumps"):
            (folder / name).mkdir(parents=True)
        for name, script in (("getprop", _GETPROP), ("dumpsys", _DUMPSYS), ("cmd", _CMD)):
            (self.bin / name).write_text(script.format(folder=shlex.quote(str(folder))))
            (self.bin / name).chmod(0o755)
        self.set_property("ro.build.fingerprint", "maker/phone/phone:13/TQ1A.230105/9325679:user/release-keys")
        self.set_property("ro.product.model", "Phone 7")
        self.set_property("ro.soc.model", "SOC201")
        self.set_property("ro.build.version.sdk", "33")
        self.set_battery()
        self.set_thermal(0)
        self.set_dump("power", "Power Manager State:\n  mWakefulness=Awake\n")

    def set_property(self, name: str, value: str) -> None:
        """What `getprop` answers for `name`."""
        (self._folder / "props" / name).write_text(f"{value}\n")

    def set_dump(self, service: str, text: str) -> None:
        """What `dumpsys` prints of `service`."""
        whole = self._folder / "dumps" / f".{service}"
        whole.write_text(text)
        whole.rename(self._folder / "dumps" / service)

    def set_battery(self, *, level: int = 80, celsius: float = 28.5, powered: bool = True) -> None:
        """The battery's charge in percent and its temperature."""
        text = BATTERY.format(level=level, tenths_c=round(celsius * 10), powered=str(powered).lower())
        self.set_dump("battery", text)

    def set_thermal(self, status: int) -> None:
        """How much the phone is throttled, from 0 to 6."""
        self.set_dump("thermalservice", THERMAL.format(status=status))

    def refuse_fixed_performance(self) -> None:
        """Be a phone without that mode."""
        (self._folder / "no-power-hal").touch()

    @property
    def switches(self) -> list[str]:
        """What the fixed performance mode was set to, in order."""
        file = self._folder / "switches"
        lines = file.read_text().splitlines() if file.exists() else []
        assert all(line.startswith(_SWITCH) for line in lines), lines
        return [line.removeprefix(_SWITCH) for line in lines]
