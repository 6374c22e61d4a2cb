"""Samples of calm moments only: a sentinel right before and after each block of them tells, as in `native/calm.c`."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]


class Calm:
    """Calm is when the sentinel takes at most `work_ns`; 0: nobody asked, every moment counts.

    After `patience_ns` of waiting and of blocks in vain, every moment counts as well, and `gave_up` says so.
    """

    def __init__(
        self, work_ns: int, patience_ns: int, glance: Callable[[], float], clock: Clock = time.monotonic_ns
    ) -> None:
        self._work_ns = work_ns
        self._patience_ns = patience_ns
        self._glance = glance
        self._clock = clock
        self._is_calm = False
        self.gave_up = False
        self.spoilt_blocks = 0

    def is_over(self) -> bool:
        """Whether patience is at an end."""
        return self._work_ns > 0 and self._patience_ns <= 0

    def wait(self) -> None:
        """Until a calm moment, as long as patience lasts."""
        while self._in_force() and not self._is_calm:
            start = self._clock()
            self._look()
            self._patience_ns -= self._clock() - start

    def spoilt(self, block_ns: int) -> bool:
        """Whether the block that has just ended, and took `block_ns`, is to be taken again."""
        if not self._in_force():
            self.gave_up = self.gave_up or self.is_over()
            return False
        self._look()
        if self._is_calm:
            return False
        self._patience_ns -= block_ns
        self.spoilt_blocks += 1
        return True

    def members(self) -> dict[str, object]:
        """``calm`` and ``spoilt_blocks`` of a line."""
        return {"calm": None if self._work_ns == 0 else not self.gave_up, "spoilt_blocks": self.spoilt_blocks}

    def _in_force(self) -> bool:
        return self._work_ns > 0 and self._patience_ns > 0

    def _look(self) -> None:
        self._is_calm = self._glance() <= self._work_ns
