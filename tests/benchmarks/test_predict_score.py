"""Figures and verdicts of predictions, from predictions whose faults are known."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.predict.outcome import Outcome
from benchmarks.predict.score import BARS, Bar, document, groups, judged, score, table
from tests.benchmarks.predictions import outcome, series

BAR = {bar.field: bar for bar in BARS}
TIMES = st.lists(st.integers(1, 10_000).map(lambda ticks: ticks / 100), min_size=3, max_size=12, unique=True)


@given(TIMES)
def test_perfect_predictions_meet_every_bar_but_that_of_too_wide_intervals(times: list[float]) -> None:
    found = score([outcome(time, time, peaks=(100, 100)) for time in times])
    assert (found.within_5, found.within_10, found.coverage, found.memory_within_3) == (1, 1, 1, 1)
    assert (found.bias, found.rmspe, found.worst) == (0, 0, 0)
    assert found.spearman == pytest.approx(1)
    missed = {bar.field for bar in BARS if bar.missed_by(found)}
    assert missed == {"coverage"}  # 95 % at most: an interval that always holds says too little


@given(TIMES, st.floats(0.5, 2))
def test_a_common_factor_is_the_bias(times: list[float], factor: float) -> None:
    found = score([outcome(factor * time, time) for time in times])
    assert found.bias == pytest.approx(factor - 1, abs=1e-9)
    assert found.worst == pytest.approx(factor - 1, abs=1e-9)
    assert found.rmspe == pytest.approx(abs(factor - 1), abs=1e-9)
    assert found.spearman == pytest.approx(1)


@given(TIMES, st.randoms())
def test_the_order_of_variants_is_irrelevant(times: list[float], random: object) -> None:
    made = [outcome(time * (1 + 0.03 * index), time, peaks=(99, 100)) for index, time in enumerate(times)]
    shuffled = list(made)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert vars(score(shuffled)) == pytest.approx(vars(score(made)))


def test_shares_count_what_they_say() -> None:
    found = score([outcome(1.04, 1, half=0.01), outcome(1.06, 1), outcome(0.91, 1, half=0.05), outcome(1.2, 1)])
    assert (found.within_5, found.within_10) == (0.25, 0.75)
    assert found.coverage == 0.25  # that of 1.06; 1.2 less a tenth of it is 1.08
    assert found.worst == pytest.approx(0.2)
    assert found.memory_within_3 is None


def test_a_variant_without_a_prediction_is_outside_every_bound() -> None:
    good, none = outcome(1.0, 1.0, peaks=(100, 100)), outcome(None, 2.0, peaks=(None, 100))
    found = score([good, good, good, none])
    assert (found.n, found.unpredicted) == (4, 1)
    assert (found.within_5, found.within_10, found.coverage, found.memory_within_3) == (0.75, 0.75, 0.75, 0.75)
    assert found.bias == 0
    empty = score([none])
    assert (empty.within_10, empty.coverage, empty.bias, empty.spearman) == (0, 0, None, None)


def test_memory_within_three_percent() -> None:
    found = score([outcome(1, 1, peaks=(102, 100)), outcome(1, 1, peaks=(96, 100)), outcome(1, 1, peaks=(100, 100))])
    assert found.memory_within_3 == pytest.approx(2 / 3)
    assert found.memory_worst == pytest.approx(-0.04)


@pytest.mark.parametrize(
    ("field", "value", "verdict"),
    [
        ("within_5", 0.85, "met"),
        ("within_5", 0.80, "missed by 5.0 %"),
        ("bias", -0.02, "met"),
        ("bias", -0.05, "missed by 3.0 %"),
        ("bias", 0.05, "missed by 3.0 %"),
        ("coverage", 0.84, "missed by 1.0 %"),
        ("coverage", 0.98, "missed by 3.0 %"),
        ("spearman", 0.975, "missed by 0.005"),
        ("profile_s", 630.0, "missed by 30 s"),
        ("second_share", None, "not measured"),
    ],
)
def test_verdicts(field: str, value: float | None, verdict: str) -> None:
    plain = score([outcome(1.0, 1.0)])
    assert BAR[field].verdict(replace(plain, **{field: value})) == verdict


def test_a_bar_says_what_is_asked() -> None:
    asked = {bar.field: bar.asked for bar in BARS}
    assert asked["within_5"] == "≥85.0 %"
    assert asked["bias"] == "±2.0 %"
    assert asked["coverage"] == "85.0 % to 95.0 %"
    assert asked["profile_s"] == "≤600 s"
    assert Bar("x", "n", str, low=1.0).missed_by(score([outcome(1, 1)])) == 0


def test_groups_are_all_threads_families_and_what_else_differs() -> None:
    good, bad = outcome(1.0, 1.0), outcome(2.0, 1.0)
    a1 = series(good, family="a")
    a2 = series(bad, family="a", threads=2, table=replace(a1.table, seconds=300.0, second_seconds=60.0))
    b1 = series(good, bad, family="b")
    scores = groups([a1, a2, b1])
    assert list(scores) == ["all", "1 thread", "2 threads", "a", "b", "a-t1"]  # a-t2 is 2 threads, b-t1 is b
    assert scores["all"].within_5 == 0.5
    assert scores["2 threads"].within_5 == 0
    assert (scores["all"].profile_s, scores["all"].second_share) == (300.0, 0.2)
    assert scores["b"].profile_s == 100.0
    assert list(groups([a1])) == ["all"]
    assert document(scores)["a"]["verdicts"]["within_5"] == "missed by 35.0 %"


def test_the_text_names_every_bar_with_its_verdict() -> None:
    made: list[Outcome] = [outcome(1.0, 1.0), outcome(1.3, 1.0)]
    scores = groups([series(*made)])
    lines = judged("all", scores["all"])
    assert len(lines) == 1 + len(BARS)
    assert "50.0 %" in lines[1]
    assert lines[1].endswith("missed by 35.0 %")
    assert lines[-1].endswith("met")
    rows = table(scores)
    assert "50.0 %*" in rows[2]
    assert " 100 s " in rows[2]
