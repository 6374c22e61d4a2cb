"""When a call is warm, and how often to time it: the rules of `native/sampling.c`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from device_agents.tvm.calm import Calm

# A fast and a slow moving average of the time agree for some calls in a row (AndroidX Benchmark, WarmupManager.kt);
# for how long at least and at most follows the time to be measured.
_FAST, _SLOW, _AGREEMENT = 0.1, 0.005, 0.04
_MIN_WARM_CALLS, _STEADY_CALLS, _PATIENCE = 30, 10, 2
_LEAST_WARM_NS, _MOST_WARM_NS = 250_000_000, 8_000_000_000
_MOST_INNER = 1_000_000
_BLOCK_NS = 250_000

Clock = Callable[[], int]


@dataclass(frozen=True)
class Effort:
    """How long to sample. `thin`: `max_count` bounds what is kept, not the time. A sample repeats calls for at least
    `min_sample_ns`; 0: one call a sample."""

    min_time_ns: int
    min_count: int
    max_count: int
    thin: bool = False
    min_sample_ns: int = 0


class Timed(Protocol):
    """What is timed."""

    def time(self, calls: int) -> float:
        """Nanoseconds of so many calls back to back, after what has to be done before them."""


class Watched(Protocol):
    """What is looked at between samples."""

    def warm(self) -> None:
        """The warm-up is over."""

    def look(self) -> None:
        """Between two samples."""


@dataclass
class Samples:
    """Nanoseconds a call, in order; of `stride` samples one was kept, each of `inner` calls.

    `converged`: the warm-up ended because the time had settled.
    """

    ns: list[float] = field(default_factory=list)
    stride: int = 1
    inner: int = 1
    converged: bool = False


def sample(timed: Timed, effort: Effort, calm: Calm, watched: Watched, clock: Clock = time.monotonic_ns) -> Samples:
    """Warm up, then sample. Raises what `timed` raises."""
    samples = Samples()
    typical = _warm_up(timed, effort, samples, clock)
    samples.inner = _inner(timed, typical, effort.min_sample_ns)
    watched.warm()
    sampler = _Sampler(timed, effort, calm, watched, samples, clock)
    while sampler.goes_on():
        sampler.block()
    return samples


def _warm_up(timed: Timed, effort: Effort, samples: Samples, clock: Clock) -> float:
    """The typical time of a call."""
    least = min(effort.min_time_ns, _LEAST_WARM_NS)
    most = min(effort.min_time_ns * _PATIENCE, _MOST_WARM_NS)
    start = clock()
    fast = slow = 0.0
    calls = steady = 0
    while True:
        ns = timed.time(1)
        calls += 1
        fast = ns if calls == 1 else fast + _FAST * (ns - fast)
        slow = ns if calls == 1 else slow + _SLOW * (ns - slow)
        steady = steady + 1 if abs(fast - slow) <= _AGREEMENT * slow else 0
        elapsed = clock() - start
        if calls >= _MIN_WARM_CALLS and elapsed >= least and steady >= _STEADY_CALLS:
            samples.converged = True
            return fast
        if elapsed >= most:
            return fast


def _inner(timed: Timed, typical: float, wanted_ns: int) -> int:
    """How many calls last long enough: tried out, as the typical time of a short call is mostly the clock's own."""
    inner = 1
    guess = wanted_ns / max(typical, 1.0) + 1
    while typical < wanted_ns and inner < _MOST_INNER:
        inner = min(int(guess), _MOST_INNER)
        elapsed = timed.time(inner)
        if elapsed >= wanted_ns:
            break
        guess = inner * (1.1 * wanted_ns / max(elapsed, 1.0)) + 1
    return inner


class _Sampler:
    def __init__(
        self, timed: Timed, effort: Effort, calm: Calm, watched: Watched, samples: Samples, clock: Clock
    ) -> None:
        self._timed, self._effort, self._calm = timed, effort, calm
        self._watched, self._samples, self._clock = watched, samples, clock
        self._taken = 0
        self._kept_ns = 0

    def goes_on(self) -> bool:
        """Whether there may be another sample."""
        effort = self._effort
        enough = self._kept_ns >= effort.min_time_ns or self._calm.is_over()
        return (effort.thin or self._taken < effort.max_count) and (self._taken < effort.min_count or not enough)

    def block(self) -> None:
        """Samples until there are enough, or a block is over; it goes where it was spoilt."""
        before = (self._taken, len(self._samples.ns), self._kept_ns)
        self._calm.wait()
        if not self.goes_on():
            return
        begun = self._clock()
        while True:
            self._watched.look()
            self._take()
            self._kept_ns = before[2] + self._clock() - begun
            if not self.goes_on() or self._clock() - begun >= _BLOCK_NS:
                break
        if not self._effort.thin and self._calm.spoilt(self._clock() - begun):
            self._taken, kept, self._kept_ns = before
            del self._samples.ns[kept:]

    def _take(self) -> None:
        samples = self._samples
        # At least a nanosecond: a coarse clock may not have moved at all.
        ns = max(self._timed.time(samples.inner), 1.0) / samples.inner
        if self._taken % samples.stride == 0:
            if len(samples.ns) == self._effort.max_count:
                samples.ns = samples.ns[::2]
                samples.stride *= 2
            samples.ns.append(ns)
        self._taken += 1
