"""The device's state around a measurement, and whether a cell measured in it can be trusted."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwaware.costs.row import OK, THROTTLED, UNSTABLE, CellRow
from hwaware.devices.facts import DeviceFacts
from hwaware.devices.schema import Fields

# Relative spread beyond which a cell is measured again; times below the clock's resolution always spread.
MOST_SPREAD = 0.05
CLOCK_NS = 50.0
# Share of samples that may have lost the processor to somebody else, change of frequency while sampling, and of the
# sentinel around the cell.
MOST_SWITCHES = 0.1
MOST_DRIFT = 0.05
MOST_SENTINEL_DRIFT = 0.05
# How much longer than usual the threads may take to meet. In a virtual machine two processors are at times the halves
# of one core, at times neighbours, at times far apart; each step takes two to four times as long.
MOST_APART = 2.0
# How much longer than at its best the sentinel may take in a calm moment, and how many moments tell its best.
_CALM, _ENOUGH_MOMENTS = 1.03, 40
NOT_CALM = "something else had the processor or its neighbours all the time (sentinels)"
# Flags that say where the device was, not that it was slowed down.
_HARMLESS = frozenset({"not_cooled"})
_FLAGS = re.compile(r"[a-z_]{1,32}(\+[a-z_]{1,32}){0,15}")
_NONE = "none"
_MOST_NS = 1e12


@dataclass(frozen=True)
class FrequencyLock:
    """Whether the agent fixed the frequency, at how many kHz, and why not if it was asked to."""

    locked: bool
    khz: int | None = None
    reason: str | None = None

    def state(self) -> dict[str, Any]:
        """As a table's or a report's conditions tell it."""
        return {"frequency_locked": self.locked, "locked_khz": self.khz, "lock_reason": self.reason}


@dataclass(frozen=True)
class Calm:
    """How long the sentinels take at most while nothing else has the machine; `meeting_ns` None with one thread."""

    work_ns: float
    meeting_ns: float | None

    @classmethod
    def of(cls, conditions: Mapping[str, Any]) -> Calm | None:
        """By what the calm moments of a table were told, None where that is unknown."""
        work, meeting = (conditions.get(name) for name in ("calm_work_ns", "calm_meeting_ns"))
        if not isinstance(work, int | float) or not 1 <= work < _MOST_NS:
            return None
        known = isinstance(meeting, int | float) and 1 <= meeting < _MOST_NS
        return cls(float(work), float(meeting) if known else None)  # type: ignore[arg-type]

    def arguments(self) -> list[str]:
        """The agent's options: it takes samples again that were not taken in such moments."""
        words = ["--calm-work-ns", str(round(self.work_ns))]
        return words if self.meeting_ns is None else [*words, "--calm-meeting-ns", str(round(self.meeting_ns))]


@dataclass(frozen=True)
class Surroundings:
    """What the agent says of the moment of a measurement; `throttle` as in CellRow.

    `sentinels_ns` and `meetings_ns` are nanoseconds before and after, of a fixed piece of work on all threads and of
    an empty parallel loop (None with one thread); `calm` whether all samples were taken in calm moments, None if that
    was not asked for; frequencies in kHz of the first measured CPU, temperatures in
    thousandths of a degree Celsius of the hottest processor zone; None where the kernel does not tell.
    """

    lock: FrequencyLock
    sentinels_ns: tuple[float, float]
    meetings_ns: tuple[float, float] | None
    calm: bool | None
    khz_before: int | None
    khz_min: int | None
    khz_after: int | None
    milli_c_before: int | None
    milli_c_after: int | None
    governor: str | None
    throttle: str
    involuntary_switches: int
    load1: float

    @classmethod
    def read(cls, fields: Fields) -> Surroundings:
        """From a `cell` or `run` line of the agent. Raises AgentError."""
        flags = fields.word_or_none("throttle", _FLAGS)
        return cls(
            lock=FrequencyLock(
                fields.boolean("frequency_locked"),
                fields.integer_or_none("locked_khz"),
                fields.word_or_none("lock_reason"),
            ),
            sentinels_ns=(
                float(fields.integer("sentinel_before_ns", least=1)),
                float(fields.integer("sentinel_after_ns", least=1)),
            ),
            meetings_ns=_meetings(fields),
            calm=fields.boolean_or_none("calm"),
            khz_before=fields.integer_or_none("khz_before"),
            khz_min=fields.integer_or_none("khz_min"),
            khz_after=fields.integer_or_none("khz_after"),
            milli_c_before=fields.integer_or_none("milli_c_before"),
            milli_c_after=fields.integer_or_none("milli_c_after"),
            governor=fields.word_or_none("governor"),
            throttle="" if flags in (None, _NONE) else str(flags),
            involuntary_switches=fields.integer("involuntary_switches"),
            load1=fields.number("load1"),
        )

    def slowed(self) -> str:
        """Why the processor was not as fast as it can be, empty if nothing says so."""
        seen = [flag for flag in self.throttle.split("+") if flag and flag not in _HARMLESS]
        if seen:
            return f"the device reports {', '.join(flag.replace('_', ' ') for flag in seen)}"
        lowest = min((khz for khz in (self.khz_min, self.khz_after) if khz), default=None)
        highest = max((khz for khz in (self.khz_before, self.lock.khz) if khz), default=None)
        if lowest is not None and highest is not None and lowest < highest * (1 - MOST_DRIFT):
            return f"frequency fell from {highest} to {lowest} kHz"
        return ""


def _meetings(fields: Fields) -> tuple[float, float] | None:
    before, after = fields.integer_or_none("meeting_before_ns"), fields.integer_or_none("meeting_after_ns")
    return None if before is None or after is None else (float(before), float(after))


class Witness:
    """What the agent said in the course of a profile: sentinel times, how soon threads meet, the frequency lock."""

    def __init__(self) -> None:
        self.lock: FrequencyLock | None = None
        self._sorted_ns: list[float] = []
        # Sentinel and meeting at the same moment.
        self._moments_ns: list[tuple[float, float | None]] = []

    @property
    def cells(self) -> int:
        """How many measurements it has heard of."""
        return len(self._sorted_ns)

    @property
    def sentinel_ns(self) -> float | None:
        """The median over the cells, of before and after the faster: the speed against which cells are judged.

        Before the warm-up a governor that follows the load may not have raised the frequency yet.
        """
        count = len(self._sorted_ns)
        if not count:
            return None
        return (self._sorted_ns[(count - 1) // 2] + self._sorted_ns[count // 2]) / 2

    def hear(self, around: Surroundings) -> None:
        """Take note of what was said with one cell."""
        self.lock = around.lock
        bisect.insort(self._sorted_ns, min(around.sentinels_ns))
        self._moments_ns += zip(around.sentinels_ns, around.meetings_ns or (None, None), strict=True)

    @property
    def calm(self) -> Calm | None:
        """What tells a calm moment, None before enough was heard.

        The sentinel as fast as in the best hundredth of all moments, nearly: who shares the cores only makes it slower.
        Threads meet, of the moments with such a sentinel, as in the lower quartile, nearly.
        """
        if len(self._moments_ns) < _ENOUGH_MOMENTS:
            return None
        work = sorted(work for work, _ in self._moments_ns)[len(self._moments_ns) // 100] * _CALM
        meetings = sorted(meeting for ns, meeting in self._moments_ns if ns <= work and meeting is not None)
        return Calm(work, MOST_APART * max(1.0, meetings[len(meetings) // 4]) if meetings else None)

    def drift(self, around: Surroundings) -> float | None:
        """The sentinel around a cell over the median so far, less 1: before or after, whichever is nearer to it.

        Somebody who was there for one of the two was not there all the time; the cell's own spread tells of him.
        """
        median = self.sentinel_ns
        return None if median is None else min((ns / median - 1 for ns in around.sentinels_ns), key=abs)


def device_conditions(
    facts: DeviceFacts, lock: FrequencyLock | None = None, calm: Calm | None = None
) -> dict[str, Any]:
    """What goes into a table or a report; `lock` is what the agent said while measuring, None before it did.

    `calm`: by what calm moments were told.
    """
    governors = sorted({cpu.governor for cpu in facts.cpus if cpu.governor})
    unknown = dict.fromkeys(FrequencyLock(locked=False).state())
    return {
        "power_mode": None,
        "governor": ",".join(governors) or None,
        "kernel": facts.kernel,
        "load1": facts.load1,
        "emulated": facts.emulated,
        "calm_work_ns": None if calm is None else calm.work_ns,
        "calm_meeting_ns": None if calm is None else calm.meeting_ns,
        **(unknown if lock is None else lock.state()),
    }


def judged(row: CellRow, around: Surroundings, witness: Witness) -> CellRow:
    """A measured row with its drift, status and reason."""
    drift = witness.drift(around)
    row = replace(row, sentinel_drift=None if drift is None else round(drift, 4), status=OK, reason="")
    reason = around.slowed()
    if reason:
        return replace(row, status=THROTTLED, reason=reason)
    # Calm moments were told by the sentinel already, and by a better measure than what was usual so far.
    reason = _unsteady(row) or ("" if around.calm else _drifted(drift)) or (NOT_CALM if around.calm is False else "")
    return replace(row, status=UNSTABLE, reason=reason) if reason else row


def _unsteady(row: CellRow) -> str:
    assert row.p50_ns is not None
    assert row.mad_ns is not None
    if row.mad_ns > max(MOST_SPREAD * row.p50_ns, CLOCK_NS):
        return f"samples spread by {row.mad_ns / row.p50_ns:.0%} (median absolute deviation)"
    switches = row.involuntary_switches or 0
    if switches > max(3.0, MOST_SWITCHES * row.n):
        return f"lost the processor {switches} times in {row.n} samples"
    if row.khz_before and row.khz_after and row.khz_after > row.khz_before * (1 + MOST_DRIFT):
        return f"frequency rose from {row.khz_before} to {row.khz_after} kHz"
    return ""


def _drifted(drift: float | None) -> str:
    if drift is not None and abs(drift) > MOST_SENTINEL_DRIFT:
        return f"the processor ran {abs(drift):.0%} {'slower' if drift > 0 else 'faster'} than usual (sentinel)"
    return ""
