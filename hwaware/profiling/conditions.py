"""The device's state around a measurement, and whether a cell measured in it can be trusted."""

from __future__ import annotations

from typing import Any

from hwaware.costs.row import CellRow
from hwaware.devices.facts import DeviceFacts

# Relative spread beyond which a cell is measured again; times below the clock's resolution always spread.
MOST_SPREAD = 0.05
CLOCK_NS = 50.0
# Share of samples that may have lost the processor to somebody else, and change of frequency while sampling.
MOST_SWITCHES = 0.1
MOST_DRIFT = 0.05


def device_conditions(facts: DeviceFacts) -> dict[str, Any]:
    """What goes into a table: frequencies are not locked by this version."""
    governors = sorted({cpu.governor for cpu in facts.cpus if cpu.governor})
    return {
        "power_mode": None,
        "governor": ",".join(governors) or None,
        "frequency_locked": False,
        "kernel": facts.kernel,
        "load1": facts.load1,
        "emulated": facts.emulated,
    }


def trouble(row: CellRow) -> str:
    """Why a measured cell is unstable, empty if it is not."""
    if not row.usable or row.p50_ns is None or row.mad_ns is None:
        return ""
    if row.mad_ns > max(MOST_SPREAD * row.p50_ns, CLOCK_NS):
        return f"samples spread by {row.mad_ns / row.p50_ns:.0%} (median absolute deviation)"
    switches = row.involuntary_switches or 0
    if switches > max(3.0, MOST_SWITCHES * row.n):
        return f"lost the processor {switches} times in {row.n} samples"
    if row.khz_before and row.khz_after and abs(row.khz_after / row.khz_before - 1) > MOST_DRIFT:
        return f"frequency went from {row.khz_before} to {row.khz_after} kHz"
    return ""
