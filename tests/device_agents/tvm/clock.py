"""Time that passes only when something is said to take some."""

from __future__ import annotations

from collections.abc import Callable


class FakeClock:
    """Nanoseconds; called, it tells them."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


class FakeTimed:
    """Work whose n-th call takes `duration` of n; `calls` counts them, `taken` are the repetitions of each timing."""

    def __init__(self, clock: FakeClock, duration: Callable[[int], float]) -> None:
        self._clock, self._duration = clock, duration
        self.calls = 0
        self.taken: list[int] = []

    def time(self, calls: int) -> float:
        """Let the calls happen; their nanoseconds."""
        total = 0.0
        for _ in range(calls):
            total += self._duration(self.calls)
            self.calls += 1
        self._clock.now += round(total)
        self.taken.append(calls)
        return total


class FakeWatch:
    """Counts looks, and notes how many timings there had been when the warm-up was over."""

    def __init__(self, timed: FakeTimed) -> None:
        self._timed = timed
        self.looks = 0
        self.warm_after = 0

    def warm(self) -> None:
        """The warm-up is over."""
        self.warm_after = len(self._timed.taken)

    def look(self) -> None:
        """A look."""
        self.looks += 1
