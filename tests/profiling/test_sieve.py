"""What is handed out at once, what is measured again, and what is kept of it."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from hwaware.costs.row import CellRow, statistics_of
from hwaware.profiling.calm import Witness
from hwaware.profiling.lines import Reading
from hwaware.profiling.sieve import MOST_AGAIN, Sieve
from hwaware.profiling.surroundings import Surroundings
from tests.profiling.test_conditions import QUIET

BLANK = CellRow("", "family", "kind", (1,), 1, "ok")


def reading(name: str, around: Surroundings = QUIET, cold_ns: float = 0.0) -> Reading:
    row = replace(BLANK, key=name, cold_ns=cold_ns, **statistics_of([1000.0, 1001.0, 999.0]))
    return Reading(name, row, around)


def failed(name: str) -> Reading:
    return Reading(name, replace(BLANK, key=name, status="failed", reason="exit 3"))


def slower(share: float) -> Surroundings:
    return replace(QUIET, sentinels_ns=(100 * (1 + share), 100 * (1 + share)))


def settled() -> Witness:
    witness = Witness()
    for _ in range(50):
        witness.hear(QUIET)
    return witness


def test_sound_and_failed_rows_go_out_at_once() -> None:
    rows: list[CellRow] = []
    sieve = Sieve(settled(), rows.append, 4)
    sieve.take(reading("a"))
    sieve.take(failed("b"))
    sieve.take(reading("c", slower(0.2)))
    assert [row.key for row in rows] == ["a", "b"]
    assert sieve.again() == ["c"]


def test_the_first_rows_wait_until_the_usual_speed_is_known() -> None:
    """The first cell was slow, which shows only after some more."""
    rows: list[CellRow] = []
    sieve = Sieve(Witness(), rows.append, 40)
    sieve.take(reading("slow", slower(0.2)))
    assert not rows
    for name in "abcdef":
        sieve.take(reading(name))
    assert sieve.again() == ["slow"]
    assert sorted(row.key for row in rows) == list("abcdef")


def test_of_two_bad_measurements_the_better_one_is_kept_whole() -> None:
    rows: list[CellRow] = []
    sieve = Sieve(settled(), rows.append, 4)
    sieve.take(reading("a", slower(0.1), cold_ns=1))
    sieve.take(reading("a", slower(0.3), cold_ns=2))
    sieve.take(failed("a"))
    sieve.flush()
    (row,) = rows
    assert (row.cold_ns, row.status, row.retries, row.sentinel_drift) == (1, "unstable", 2, 0.1)
    assert "10% slower" in row.reason


def test_throttled_is_worse_than_unstable() -> None:
    rows: list[CellRow] = []
    sieve = Sieve(settled(), rows.append, 4)
    sieve.take(reading("a", replace(QUIET, throttle="throttled"), cold_ns=1))
    sieve.take(reading("a", slower(0.5), cold_ns=2))
    sieve.flush()
    assert [(row.cold_ns, row.status) for row in rows] == [(2, "unstable")]


drifts = st.lists(st.sampled_from([0.0, 0.02, 0.07, 0.2, 0.5, None]), min_size=1, max_size=60)


@given(drifts, st.lists(drifts, max_size=2))
def test_every_cell_has_one_row_and_the_extra_work_is_bounded(
    first: list[float | None], later: list[list[float | None]]
) -> None:
    rows: list[CellRow] = []
    sieve = Sieve(settled(), rows.append, len(first))

    def take(index: int, drift: float | None) -> None:
        sieve.take(failed(str(index)) if drift is None else reading(str(index), slower(drift)))

    for index, drift in enumerate(first):
        take(index, drift)
    for drifts_then in later:
        again = sieve.again()
        assert len(again) <= max(2, math.ceil(MOST_AGAIN * len(first)))
        for name, drift in zip(again, drifts_then, strict=False):
            take(int(name), drift)
    sieve.flush()
    assert sorted(int(row.key) for row in rows) == list(range(len(first)))
    for row in rows:
        best = first[int(row.key)]
        assert (row.status == "failed") == (best is None)
        assert row.status != "ok" or (row.sentinel_drift or 0) <= 0.05
