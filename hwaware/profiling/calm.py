"""When nothing else has the machine: told by the agent's sentinels, against what they take at their best.

Somebody on the other half of a core slows a model by a tenth or a half for some milliseconds at a time. In a virtual
machine the host also moves the processors: at times they are the halves of one core, at times neighbours, at times far
apart, where two threads take two to four times as long to meet and small models twice as long to run.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwaware.profiling.surroundings import FrequencyLock, Surroundings

# How much longer than at its best the sentinel may take in a calm moment, and threads than usual to meet.
_SLOWER, _APART = 1.03, 2.0
# How many moments tell what is usual.
_ENOUGH = 40
_MOST_NS = 1e12


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
        if len(self._moments_ns) < _ENOUGH:
            return None
        work = sorted(work for work, _ in self._moments_ns)[len(self._moments_ns) // 100] * _SLOWER
        meetings = sorted(meeting for ns, meeting in self._moments_ns if ns <= work and meeting is not None)
        return Calm(work, _APART * max(1.0, meetings[len(meetings) // 4]) if meetings else None)

    def drift(self, around: Surroundings) -> float | None:
        """The sentinel around a cell over the median so far, less 1: before or after, whichever is nearer to it.

        Somebody who was there for one of the two was not there all the time; the cell's own spread tells of him.
        """
        median = self.sentinel_ns
        return None if median is None else min((ns / median - 1 for ns in around.sentinels_ns), key=abs)
