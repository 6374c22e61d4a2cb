"""Resident memory of this process, from /proc, in bytes."""

from __future__ import annotations

from pathlib import Path


def resident() -> int:
    """What is resident now."""
    return _status("VmRSS")


def peak() -> int:
    """The most that was resident since `reset_peak`."""
    return _status("VmHWM")


def reset_peak() -> None:
    """Let the peak start again from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    raise RuntimeError(f"/proc/self/status lacks {field}")
