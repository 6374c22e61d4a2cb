"""What the kernel tells in /sys and /proc: clocks, temperatures, counts of what slowed the chip down."""

from __future__ import annotations

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

# Folders of /sys/class/devfreq that are a Jetson's GPU: named so, or by its chip.
_GPUS = ("gpu", "gb10b", "ga10b", "gv11b", "gp10b", "gm20b")
_PROCESSORS = ("cpu", "soc", "x86_pkg", "k10temp", "package")
_KINDS = ("passive", "hot", "critical")
_MOST_TRIPS = 12


@dataclass(frozen=True)
class Zone:
    """A temperature sensor: thousandths of a degree, and its trip points (kind, limit)."""

    type: str
    milli_c: int
    trips: tuple[tuple[str, int], ...]


class Sensors:
    """Readings; files of /sys are looked up below `sysfs`, for tests and containers."""

    def __init__(self, sysfs: str = "") -> None:
        self._root = sysfs

    def text(self, path: str) -> str | None:
        """The file's text without blanks around it; None where there is none."""
        try:
            content = Path(self._located(path)).read_bytes()
        except OSError:
            return None
        return content.decode(errors="replace").strip(" \t\r\n\0") or None

    def integer(self, path: str) -> int | None:
        """The file's whole number."""
        text = self.text(path)
        try:
            return None if text is None else int(text)
        except ValueError:
            return None

    def kilobytes(self, path: str, name: str) -> int | None:
        """Bytes of a field such as ``MemTotal:  1234 kB``."""
        for line in (self.text(path) or "").splitlines():
            key, _, rest = line.partition(":")
            words = rest.split()
            if key == name and words and words[0].isdigit():
                return int(words[0]) * 1024
        return None

    def paths(self, pattern: str) -> list[str]:
        """Existing paths of /sys, as they are without a root."""
        return sorted(path[len(self._root) :] for path in glob.glob(self._located(pattern)))

    def cpu(self, cpu: int, leaf: str) -> int | None:
        """A number of one CPU."""
        return self.integer(f"/sys/devices/system/cpu/cpu{cpu}/{leaf}")

    def zones(self, *, gpu: bool) -> list[Zone]:
        """The GPU's sensors, where it has some of its own, else those of the processor."""
        known = list(self._zones())
        own = [zone for zone in known if "gpu" in zone.type.lower()] if gpu else []
        return own or [zone for zone in known if any(word in zone.type.lower() for word in _PROCESSORS)]

    def _zones(self) -> Iterator[Zone]:
        for folder in self.paths("/sys/class/thermal/thermal_zone*"):
            kind, milli_c = self.text(f"{folder}/type"), self.integer(f"{folder}/temp")
            if kind is not None and milli_c is not None:
                yield Zone(kind, milli_c, tuple(self._trips(folder)))

    def _trips(self, folder: str) -> Iterator[tuple[str, int]]:
        for trip in range(_MOST_TRIPS):
            kind = self.text(f"{folder}/trip_point_{trip}_type")
            limit = self.integer(f"{folder}/trip_point_{trip}_temp")
            # Drivers give 0 or less for a trip point that is switched off.
            if kind in _KINDS and limit is not None and limit > 0:
                yield kind, limit

    def gpu_clock(self) -> str | None:
        """The folder of the GPU's clock, None where it has none in /sys."""
        for folder in self.paths("/sys/class/devfreq/*"):
            if any(name in folder.rpartition("/")[2].lower() for name in _GPUS):
                return folder
        return None

    def gpu_khz(self) -> int | None:
        """The GPU's clock at the moment."""
        folder = self.gpu_clock()
        hertz = None if folder is None else self.integer(f"{folder}/cur_freq")
        return None if hertz is None else hertz // 1000

    def over_currents(self) -> int | None:
        """How often a Jetson's supply was overloaded since it was switched on."""
        counts = [self.integer(path) for path in self.paths("/sys/class/hwmon/hwmon*/oc*_event_cnt")]
        known = [count for count in counts if count is not None]
        return sum(known) if known else None

    def _located(self, path: str) -> str:
        return self._root + path if path.startswith("/sys/") else path
