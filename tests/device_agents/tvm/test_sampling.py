"""When a call is warm, how long a sample is, when there are enough, and which moments count: on a clock of our own."""

from __future__ import annotations

from collections.abc import Callable

from device_agents.tvm.calm import Calm
from device_agents.tvm.sampling import Effort, Samples, sample
from tests.device_agents.tvm.clock import FakeClock, FakeTimed, FakeWatch

MS = 1_000_000


def sampled(
    duration: Callable[[int], float],
    effort: Effort,
    *,
    work_ns: int = 0,
    patience_ns: int = 0,
    glance: Callable[[int], float] = lambda _: 1.0,
) -> tuple[Samples, FakeTimed, FakeWatch, Calm]:
    clock = FakeClock()
    timed = FakeTimed(clock, duration)
    watch = FakeWatch(timed)

    def look() -> float:
        clock.now += 1000
        return glance(clock.now)

    calm = Calm(work_ns, patience_ns, look, clock)
    return sample(timed, effort, calm, watch, clock), timed, watch, calm


def test_a_steady_call_is_warm_after_the_least_time() -> None:
    samples, timed, watch, _ = sampled(lambda _: 1e5, Effort(40 * MS, 10, 10_000))
    assert samples.converged
    assert watch.warm_after == 400  # 40 ms of 100 µs
    assert len(samples.ns) == len(timed.taken) - watch.warm_after == 400
    assert set(samples.ns) == {1e5}
    assert (samples.inner, samples.stride) == (1, 1)


def test_a_call_that_becomes_faster_is_waited_for() -> None:
    samples, _, _, _ = sampled(lambda n: 1e6 if n < 60 else 1e5, Effort(100 * MS, 10, 10_000))
    assert samples.converged
    assert set(samples.ns) == {1e5}


def test_a_call_that_never_settles_is_measured_all_the_same() -> None:
    samples, _, watch, _ = sampled(lambda n: 1e6 * (1 + n % 7), Effort(50 * MS, 10, 10_000))
    assert not samples.converged
    assert watch.warm_after > 0
    assert len(samples.ns) >= 10


def test_short_calls_are_repeated_within_a_sample() -> None:
    effort = Effort(10 * MS, 5, 10_000, min_sample_ns=20_000)
    samples, timed, _, _ = sampled(lambda _: 300.0, effort)
    assert samples.inner * 300 >= 20_000
    assert samples.inner < 200
    assert timed.taken[-1] == samples.inner
    assert all(abs(ns - 300.0) < 1e-6 for ns in samples.ns)


def test_long_calls_are_not() -> None:
    assert sampled(lambda _: 1e6, Effort(10 * MS, 5, 100, min_sample_ns=20_000))[0].inner == 1


def test_both_minima_are_met_and_the_maximum_ends_it() -> None:
    assert len(sampled(lambda _: 1e6, Effort(5 * MS, 30, 1000))[0].ns) == 30
    assert len(sampled(lambda _: 1e6, Effort(90 * MS, 30, 1000))[0].ns) == 90
    assert len(sampled(lambda _: 1e6, Effort(90 * MS, 30, 40))[0].ns) == 40


def test_thinned_samples_are_of_the_whole_time() -> None:
    samples, timed, watch, _ = sampled(lambda _: 1e6, Effort(100 * MS, 10, 16, thin=True))
    assert samples.stride == 8
    assert len(timed.taken) - watch.warm_after == 100
    assert len(samples.ns) == 13  # of 0, 8, … 96


def test_without_being_asked_every_moment_counts() -> None:
    _, _, _, calm = sampled(lambda _: 1e6, Effort(10 * MS, 10, 100), glance=lambda _: 1e9)
    assert calm.members() == {"calm": None, "spoilt_blocks": 0}


def test_calm_samples_are_all_kept() -> None:
    samples, _, _, calm = sampled(
        lambda _: 1e6, Effort(10 * MS, 10, 100), work_ns=100, patience_ns=50 * MS, glance=lambda _: 90.0
    )
    assert len(samples.ns) == 10
    assert calm.members() == {"calm": True, "spoilt_blocks": 0}


def test_samples_of_disturbed_moments_are_taken_again() -> None:
    # Somebody comes for 20 ms, and makes calls take twice as long meanwhile.
    def disturbed(now: int) -> bool:
        return 45 * MS <= now < 65 * MS

    clock = FakeClock()
    timed = FakeTimed(clock, lambda _: 2e6 if disturbed(clock.now) else 1e6)

    def glance() -> float:
        clock.now += 1000
        return 200.0 if disturbed(clock.now) else 90.0

    calm = Calm(100, 500 * MS, glance, clock)
    samples = sample(timed, Effort(30 * MS, 10, 1000), calm, FakeWatch(timed), clock)
    assert set(samples.ns) == {1e6}
    assert len(samples.ns) == 30
    assert calm.members() == {"calm": True, "spoilt_blocks": 1}


def test_patience_ends() -> None:
    samples, _, _, calm = sampled(
        lambda _: 1e6, Effort(30 * MS, 10, 1000), work_ns=100, patience_ns=20 * MS, glance=lambda _: 200.0
    )
    # Then the least number is enough, and every one is kept.
    assert len(samples.ns) == 10
    assert calm.members()["calm"] is False
