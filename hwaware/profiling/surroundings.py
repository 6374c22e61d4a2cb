"""What the agent says of the moment in which it measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hwaware.devices.schema import Fields

# Change of frequency while sampling that is none yet.
MOST_DRIFT = 0.05
# The least that a thermometer can say.
_COLDEST_MILLI_C = -273_150
# Flags that say where the device was, not that it was slowed down.
_HARMLESS = frozenset({"not_cooled"})
_FLAGS = re.compile(r"[a-z_]{1,32}(\+[a-z_]{1,32}){0,15}")
_NONE = "none"


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
            milli_c_before=fields.integer_or_none("milli_c_before", least=_COLDEST_MILLI_C),
            milli_c_after=fields.integer_or_none("milli_c_after", least=_COLDEST_MILLI_C),
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
