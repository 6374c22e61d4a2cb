"""Whether a cell can be trusted that was measured in such conditions, and how a table or a report tells them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from hwaware.costs.row import OK, THROTTLED, UNSTABLE, CellRow
from hwaware.devices.clusters import FASTEST, Cores
from hwaware.devices.facts import DeviceFacts
from hwaware.profiling.calm import Calm, Witness
from hwaware.profiling.surroundings import MOST_DRIFT, FrequencyLock, Surroundings

# Relative spread beyond which a cell is measured again; times below the clock's resolution always spread.
MOST_SPREAD = 0.05
CLOCK_NS = 50.0
# Share of samples that may have lost the processor to somebody else, and change of the sentinel around the cell.
MOST_SWITCHES = 0.1
MOST_SENTINEL_DRIFT = 0.05
NOT_CALM = "something else had the processor or its neighbours all the time (sentinels)"


def device_conditions(
    facts: DeviceFacts,
    lock: FrequencyLock | None = None,
    calm: Calm | None = None,
    *,
    cores: Cores = FASTEST,
    modes: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """What goes into a table or a report; `lock` is what the agent said while measuring, None before it did.

    `calm`: by what calm moments were told; `cores`: what was measured on; `modes`: conditions of modes
    that were set.
    """
    governors = sorted({cpu.governor for cpu in facts.cpus if cpu.governor})
    unknown = dict.fromkeys(FrequencyLock(locked=False).state())
    return {
        "power_mode": facts.power_mode,
        "governor": ",".join(governors) or None,
        "kernel": facts.kernel,
        "load1": facts.load1,
        "emulated": facts.emulated,
        "calm_work_ns": None if calm is None else calm.work_ns,
        "calm_meeting_ns": None if calm is None else calm.meeting_ns,
        **(unknown if lock is None else lock.state()),
        **cores.conditions(),
        **modes,
    }


def judged(row: CellRow, around: Surroundings, witness: Witness) -> CellRow:
    """A measured row with its drift, status and reason."""
    drift = witness.drift(around)
    row = replace(row, sentinel_drift=None if drift is None else round(drift, 4), status=OK, reason="")
    reason = around.slowed()
    if reason:
        return replace(row, status=THROTTLED, reason=reason)
    reason = _unsteady(row) or _company(row, around, drift)
    return replace(row, status=UNSTABLE, reason=reason) if reason else row


def _unsteady(row: CellRow) -> str:
    assert row.p50_ns is not None
    assert row.mad_ns is not None
    if row.mad_ns > max(MOST_SPREAD * row.p50_ns, CLOCK_NS):
        return f"samples spread by {row.mad_ns / row.p50_ns:.0%} (median absolute deviation)"
    if row.khz_before and row.khz_after and row.khz_after > row.khz_before * (1 + MOST_DRIFT):
        return f"frequency rose from {row.khz_before} to {row.khz_after} kHz"
    return ""


def _company(row: CellRow, around: Surroundings, drift: float | None) -> str:
    """Signs that the processor was somebody else's as well.

    In calm moments it was not: the agent has told them by a better measure than what was usual so far, and its switches
    are mostly those of the time in which it waited for them.
    """
    if around.calm is not None:
        return "" if around.calm else NOT_CALM
    switches = row.involuntary_switches or 0
    if switches > max(3.0, MOST_SWITCHES * row.n):
        return f"lost the processor {switches} times in {row.n} samples"
    if drift is not None and abs(drift) > MOST_SENTINEL_DRIFT:
        return f"the processor ran {abs(drift):.0%} {'slower' if drift > 0 else 'faster'} than usual (sentinel)"
    return ""
