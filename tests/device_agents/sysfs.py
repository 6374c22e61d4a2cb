"""A tree like the kernel's /sys for `--sysfs`, of plain files that are there to be changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CPUFREQ: Mapping[str, str] = {
    "scaling_governor": "ondemand",
    "scaling_min_freq": "600000",
    "scaling_max_freq": "1500000",
    "cpuinfo_max_freq": "1800000",
    "scaling_cur_freq": "1800000",
    "scaling_available_governors": "ondemand schedutil performance",
}
FIRMWARE = "devices/platform/soc/soc:firmware/get_throttled"


class FakeSys:
    """`root` is what `--sysfs` takes; every cpu this process may use has the frequency files `CPUFREQ`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cpus = sorted(os.sched_getaffinity(0))
        for cpu in self.cpus:
            for leaf, text in CPUFREQ.items():
                self.write(f"devices/system/cpu/cpu{cpu}/cpufreq/{leaf}", text)
            self.write(f"devices/system/cpu/cpu{cpu}/cpufreq/related_cpus", " ".join(map(str, self.cpus)))

    def path(self, name: str) -> Path:
        """The file called `name` below /sys."""
        return self.root / "sys" / name

    def cpufreq(self, cpu: int, leaf: str) -> Path:
        """A frequency file."""
        return self.path(f"devices/system/cpu/cpu{cpu}/cpufreq/{leaf}")

    def write(self, name: str, text: str) -> None:
        """Make or change a file as the kernel would show it."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")

    def zone(self, number: int, milli_c: int, trips: Mapping[str, int], kind: str = "cpu-thermal") -> None:
        """A thermal zone with trip points by type."""
        folder = f"class/thermal/thermal_zone{number}"
        self.write(f"{folder}/type", kind)
        self.write(f"{folder}/temp", str(milli_c))
        for index, (name, limit) in enumerate(trips.items()):
            self.write(f"{folder}/trip_point_{index}_type", name)
            self.write(f"{folder}/trip_point_{index}_temp", str(limit))

    def snapshot(self) -> dict[str, bytes]:
        """Every file's bytes."""
        return {str(path.relative_to(self.root)): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def is_locked(self) -> bool:
        """Whether the limits of the first cpu meet."""
        low, high = (self.cpufreq(self.cpus[0], f"scaling_{name}_freq").read_text() for name in ("min", "max"))
        return low == high
