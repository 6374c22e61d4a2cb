"""Numerics on synthetic signals whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.statistics import (
    Ratio,
    Verdict,
    block_length,
    bootstrap_medians,
    inflation,
    mann_whitney,
    median_ratio,
    summarise,
    verdict,
)
from tests.reports.fixtures import latencies

RUNS = st.lists(st.floats(0.01, 1e4), min_size=2, max_size=60)
SCALES = st.floats(1e-3, 1e3)
few = settings(max_examples=30, deadline=None)


def test_summary_of_a_known_run() -> None:
    summary = summarise([float(i) for i in range(1, 102)])
    assert (summary.n, summary.min, summary.p10, summary.p50, summary.p90) == (101, 1, 11, 51, 91)
    assert summary.p99 == 100
    assert summary.mad == 25
    assert summary.ci95[0] < 51 < summary.ci95[1]


def test_a_single_sample_is_its_own_summary() -> None:
    summary = summarise([3.0])
    assert (summary.min, summary.p50, summary.p99, summary.mad, summary.ci95) == (3, 3, 3, 0, (3, 3))


@pytest.mark.parametrize("samples", [[], [1.0, math.nan], [1.0, math.inf], [1.0, 0.0], [-1.0], [[1.0], [2.0]]])
def test_what_is_no_latency_is_refused(samples: list[float]) -> None:
    with pytest.raises(ValueError, match="latency samples"):
        summarise(samples)


@few
@given(RUNS)
def test_summary_is_ordered(samples: list[float]) -> None:
    s = summarise(samples)
    low, high = s.ci95
    assert s.min <= s.p10 <= s.p50 <= s.p90 <= s.p99
    assert s.min <= low <= s.p50 <= high <= max(samples)


@few
@given(RUNS, st.randoms(use_true_random=False))
def test_quantiles_do_not_depend_on_order(samples: list[float], random: object) -> None:
    shuffled = samples.copy()
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    a, b = summarise(samples), summarise(shuffled)
    assert (a.min, a.p10, a.p50, a.p90, a.p99, a.mad) == (b.min, b.p10, b.p50, b.p90, b.p99, b.mad)
    assert median_ratio(samples, shuffled).value == 1


@few
@given(RUNS, RUNS)
def test_swapping_the_runs_inverts_the_ratio(a: list[float], b: list[float]) -> None:
    there, back = median_ratio(a, b), median_ratio(b, a)
    assert there.value * back.value == pytest.approx(1)
    assert there.low <= there.value <= there.high
    assert mann_whitney(a, b) == pytest.approx(mann_whitney(b, a), rel=1e-6, abs=1e-12)


def test_swapping_the_runs_mirrors_the_interval() -> None:
    a, b = latencies(300, 2.0, seed=1), latencies(300, 1.5, seed=2)
    there, back = median_ratio(a, b), median_ratio(b, a)
    assert there.low * back.high == pytest.approx(1, rel=2e-3)
    assert there.high * back.low == pytest.approx(1, rel=2e-3)


@few
@given(RUNS, RUNS, SCALES)
def test_the_unit_of_time_does_not_matter(a: list[float], b: list[float], scale: float) -> None:
    scaled_a, scaled_b = ([x * scale for x in run] for run in (a, b))
    assert median_ratio(scaled_a, scaled_b).value == pytest.approx(median_ratio(a, b).value)
    assert summarise(scaled_a).ci95 == pytest.approx([end * scale for end in summarise(a).ci95])


@few
@given(SCALES)
def test_slowing_one_run_scales_the_interval(scale: float) -> None:
    a, b = latencies(120, 1.0, seed=3), latencies(120, 1.0, seed=4)
    plain, scaled = median_ratio(a, b), median_ratio(a, b * scale)
    assert (scaled.low, scaled.high) == pytest.approx((plain.low * scale, plain.high * scale))


def test_the_same_seed_gives_the_same_interval() -> None:
    a, b = latencies(100, 1.0, seed=5), latencies(100, 1.1, seed=6)
    assert median_ratio(a, b) == median_ratio(a, b)
    assert median_ratio(a, b) != median_ratio(a, b, seed=1)


def test_blocks_are_longer_and_inflation_larger_where_neighbours_agree() -> None:
    calm, sticky = latencies(2000, 1.0, seed=7, rho=0.0), latencies(2000, 1.0, seed=7, rho=0.9)
    assert block_length(calm) <= 20
    assert block_length(sticky) >= 40
    # The truth for AR(1) is (1 + rho) / (1 - rho) = 19; ranks are a little less correlated than values.
    assert inflation(calm) < 1.5
    assert 9 < inflation(sticky) < 30


def test_bootstrap_of_independent_samples_has_the_textbook_spread() -> None:
    samples = np.random.default_rng(8).normal(100, 1, size=4000)
    spread = bootstrap_medians(samples, np.random.default_rng(9)).std()
    assert spread == pytest.approx(math.sqrt(math.pi / 2 / 4000), rel=0.2)  # s.e. of a normal median


@pytest.mark.parametrize(("n", "rho", "least"), [(100, 0.0, 0.90), (200, 0.5, 0.89), (400, 0.8, 0.87)])
def test_intervals_hold_the_truth(n: int, rho: float, least: float) -> None:
    """Coverage over 120 pairs; nominal 0.95, its own standard error 0.02."""
    held = 0
    for trial in range(120):
        ratio = median_ratio(latencies(n, 1.0, seed=2 * trial, rho=rho), latencies(n, 1.2, seed=2 * trial + 1, rho=rho))
        held += ratio.low <= 1.2 <= ratio.high
    assert held / 120 >= least


def test_equal_runs_that_drift_are_not_told_apart() -> None:
    """At rho = 0.8 the uncorrected test calls a third of equal pairs different at its level."""
    verdicts = []
    for trial in range(60):
        a, b = (latencies(200, 1.0, seed=1000 + 2 * trial + k, rho=0.8) for k in (0, 1))
        verdicts.append(verdict(median_ratio(a, b), mann_whitney(a, b)))
    assert sum(v is not Verdict.INDISTINGUISHABLE for v in verdicts) <= 3


@pytest.mark.parametrize(("factor", "expected"), [(1.05, Verdict.SLOWER), (0.95, Verdict.FASTER)])
def test_five_percent_is_found(factor: float, expected: Verdict) -> None:
    for trial in range(20):
        a = latencies(200, 1.0, seed=trial, rho=0.5)
        b = latencies(200, factor, seed=500 + trial, rho=0.5)
        assert verdict(median_ratio(a, b), mann_whitney(a, b)) is expected


@pytest.mark.parametrize(
    ("ratio", "p_value", "expected"),
    [
        (Ratio(0.5, 0.4, 0.6), 1e-9, Verdict.FASTER),
        (Ratio(2.0, 1.8, 2.2), 1e-9, Verdict.SLOWER),
        (Ratio(0.9, 0.8, 1.01), 1e-9, Verdict.INDISTINGUISHABLE),
        (Ratio(0.5, 0.4, 0.6), 0.002, Verdict.INDISTINGUISHABLE),
        (Ratio(1.5, 1.0, 2.0), 1e-9, Verdict.INDISTINGUISHABLE),
    ],
)
def test_a_verdict_needs_both_witnesses(ratio: Ratio, p_value: float, expected: Verdict) -> None:
    assert verdict(ratio, p_value) is expected


def test_p_value_of_independent_runs_is_that_of_the_plain_test() -> None:
    from scipy import stats

    rng = np.random.default_rng(11)
    a, b = rng.uniform(1, 2, size=400), rng.uniform(1.05, 2.05, size=400)
    plain = stats.mannwhitneyu(a, b).pvalue
    assert inflation(a) < 1.2
    assert math.log(mann_whitney(a, b)) == pytest.approx(math.log(plain), rel=0.2)


def test_constant_runs() -> None:
    ratio = median_ratio([2.0] * 50, [1.0] * 50)
    assert (ratio.value, ratio.low, ratio.high) == (0.5, 0.5, 0.5)
    assert verdict(ratio, mann_whitney([2.0] * 50, [1.0] * 50)) is Verdict.FASTER
    assert mann_whitney([2.0] * 50, [2.0] * 50) == 1


def test_long_correlated_runs_that_do_not_overlap_are_told_apart() -> None:
    """Their plain p-value underflows to 0: the correction for autocorrelation must not start from there."""
    rng = np.random.default_rng(5)
    drift = np.repeat(rng.normal(0, 0.01, 100), 400)  # levels that last: strong autocorrelation
    slow = 1.0 + np.abs(drift) + rng.exponential(0.001, drift.size)
    assert inflation(slow) > 100
    assert mann_whitney(slow, 0.6 * slow) < 1e-20
