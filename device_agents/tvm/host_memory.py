"""The memory of this process, as the kernel counts it."""

from __future__ import annotations

from device_agents.tvm.sensors import Sensors

_STATUS = "/proc/self/status"


def anonymous(sensors: Sensors) -> int | None:
    """Bytes that lie in no file: what a GPU integrated into the chip works on is not among them."""
    return sensors.kilobytes(_STATUS, "RssAnon")


def reset_peak(sensors: Sensors) -> int | None:
    """Begin to watch for the most resident bytes; what they are now, None where the kernel cannot."""
    try:
        with open("/proc/self/clear_refs", "wb", buffering=0) as file:
            file.write(b"5")
    except OSError:
        return None
    return sensors.kilobytes(_STATUS, "VmHWM")


def peak_above(sensors: Sensors, baseline: int | None) -> int | None:
    """The most resident bytes since `reset_peak` gave `baseline`, less those."""
    peak = None if baseline is None else sensors.kilobytes(_STATUS, "VmHWM")
    return None if peak is None or baseline is None else max(0, peak - baseline)
