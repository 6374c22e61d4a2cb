"""In which conditions something was measured: clock, temperature, what slowed the chip down, who else ran."""

from __future__ import annotations

import os
import resource
import time
from dataclasses import dataclass

from device_agents.tvm.sensors import Sensors

_BETWEEN_LOOKS_NS = 10_000_000
# A measurement warms the chip up: room for that below the first passive trip point.
_MARGIN_MILLI_C = 5_000
_LOOK_S = 0.1
_TRIPS = ("passive", "hot", "critical")


@dataclass(frozen=True)
class Heat:
    """The hottest sensor, the trip points reached, whether there are any, and how far the next passive one is."""

    milli_c: int | None
    reached: frozenset[str]
    has_trips: bool
    headroom: int | None


def heat(sensors: Sensors, *, gpu: bool) -> Heat:
    """How warm what is measured is."""
    zones = sensors.zones(gpu=gpu)
    trips = [(zone.milli_c, kind, limit) for zone in zones for kind, limit in zone.trips]
    passive = [limit - milli_c for milli_c, kind, limit in trips if kind == "passive"]
    return Heat(
        max((zone.milli_c for zone in zones), default=None),
        frozenset(kind for milli_c, kind, limit in trips if milli_c >= limit),
        bool(trips),
        min(passive, default=None),
    )


def clock_khz(sensors: Sensors, cpu: int | None, *, gpu: bool) -> int | None:
    """The clock of what is measured at the moment: the GPU's, or that of `cpu`, which is None where threads roam."""
    if gpu:
        return sensors.gpu_khz()
    return None if cpu is None else sensors.cpu(cpu, "cpufreq/scaling_cur_freq")


class Gate:
    """Waits until the chip is cool enough to be measured; a wait in vain halves the next one."""

    def __init__(self, sensors: Sensors, most_ms: int, *, gpu: bool) -> None:
        self._sensors, self._gpu = sensors, gpu
        self._most_s = self._patience_s = most_ms / 1000

    def enter(self) -> bool:
        """Whether it is cool."""
        end = time.monotonic() + self._patience_s
        cool = self._is_cool()
        while not cool and time.monotonic() < end:
            time.sleep(_LOOK_S)
            cool = self._is_cool()
        self._patience_s = self._most_s if cool else self._patience_s / 2
        return cool

    def _is_cool(self) -> bool:
        headroom = heat(self._sensors, gpu=self._gpu).headroom
        return headroom is None or headroom >= _MARGIN_MILLI_C


class Watch:
    """Looks at the conditions of one measurement. `cpu` is None where threads go where they like."""

    def __init__(self, sensors: Sensors, cpu: int | None, *, gpu: bool) -> None:
        self._sensors, self._cpu, self._gpu = sensors, cpu, gpu
        self._khz: list[int] = []
        self._looked_ns = 0
        self._switches = 0
        self._heat = heat(sensors, gpu=gpu)
        self._counts = self._counted()

    def warm(self) -> None:
        """The warm-up is over: governors have followed the load."""
        self._look()
        self._switches = _involuntary_switches()

    def look(self) -> None:
        """Now and then is enough: a look is a system call, or a question to the firmware."""
        if time.monotonic_ns() - self._looked_ns >= _BETWEEN_LOOKS_NS:
            self._look()

    def members(self, *, uncooled: bool) -> dict[str, object]:
        """What a line says of the conditions; the measurement is over."""
        switches = _involuntary_switches() - self._switches
        self._look()
        after = heat(self._sensors, gpu=self._gpu)
        return {
            "involuntary_switches": switches,
            "khz_before": self._khz[0] if self._khz else None,
            "khz_min": min(self._khz, default=None),
            "khz_after": self._khz[-1] if self._khz else None,
            "governor": self._governor(),
            "milli_c_before": self._heat.milli_c,
            "milli_c_after": after.milli_c,
            "throttle": self._throttle(after, uncooled=uncooled),
            "load1": round(os.getloadavg()[0], 2),
        }

    def _look(self) -> None:
        khz = clock_khz(self._sensors, self._cpu, gpu=self._gpu)
        if khz is not None and khz >= 0:
            self._khz.append(khz)
        self._looked_ns = time.monotonic_ns()

    def _governor(self) -> str | None:
        if not self._gpu:
            return self._sensors.text(f"/sys/devices/system/cpu/cpu{self._cpu or 0}/cpufreq/scaling_governor")
        folder = self._sensors.gpu_clock()
        return None if folder is None else self._sensors.text(f"{folder}/governor")

    def _counted(self) -> dict[str, int]:
        """What only ever rises, by the word for a rise."""
        cpu = self._cpu or 0
        counts = {
            "core_throttled": self._sensors.cpu(cpu, "thermal_throttle/core_throttle_count"),
            "package_throttled": self._sensors.cpu(cpu, "thermal_throttle/package_throttle_count"),
            "over_current": self._sensors.over_currents(),
        }
        return {word: count for word, count in counts.items() if count is not None}

    def _throttle(self, after: Heat, *, uncooled: bool) -> str | None:
        counts = self._counted()
        words = [word for word, count in counts.items() if count > self._counts.get(word, count)]
        reached = self._heat.reached | after.reached
        words += [f"{kind}_trip" for kind in _TRIPS if kind in reached]
        if uncooled:
            words.append("not_cooled")
        return "+".join(words) or ("none" if counts or after.has_trips else None)


def _involuntary_switches() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw
