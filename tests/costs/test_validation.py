"""The validation of a table: laws of its summary, and that nothing of it is lost or believed unread."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwaware.costs.manifest import Manifest
from hwaware.costs.model_check import SOURCES, TRAINING, ModelCheck, digest_of, from_fields, to_fields
from hwaware.costs.table import CostTable
from hwaware.costs.validation import VALIDATION, add_check, held_back, in_words, read_checks, summary
from hwaware.errors import TableError
from tests.costs.checks import TIMES, check, checks
from tests.costs.tables import conv, row, table

MANY = st.lists(checks(), min_size=1, max_size=20)


@given(times=st.lists(TIMES, min_size=3, max_size=20, unique=True))
def test_perfect_predictions(times: list[float]) -> None:
    found = summary([check(time, time, predicted_rss=7000, measured_rss=7000) for time in times])
    assert found["n"] == len(times)
    for share in ("within_5", "within_10", "coverage_90", "memory_within_3"):
        assert found[share] == 1.0
    assert found["spearman"] == pytest.approx(1.0)
    assert found["bias"] == found["rmspe"] == found["worst"] == 0


@given(many=MANY, factor=st.floats(0.01, 100))
def test_errors_are_relative(many: list[ModelCheck], factor: float) -> None:
    """On a machine `factor` times as slow, predicted as such, nothing is judged otherwise."""
    scaled = [
        replace(
            one,
            predicted_ms=one.predicted_ms * factor,
            measured_ms=one.measured_ms * factor,
        )
        for one in many
    ]
    before, after = summary(many), summary(scaled)
    for name in ("bias", "rmspe", "worst"):
        assert after[name] == pytest.approx(before[name], rel=1e-9, abs=1e-9)


@given(many=MANY, data=st.data())
def test_order_does_not_matter(many: list[ModelCheck], data: st.DataObject) -> None:
    assert summary(data.draw(st.permutations(many))) == summary(many)


def test_what_the_table_has_learned_from_tests_it_no_longer() -> None:
    tests = [check(1.0, 1.0, source=source) for source in SOURCES]
    seen = check(1.0, 1.0, held_out=False)
    assert {one.source for one in held_back([*tests, seen])} == set(SOURCES) - {TRAINING}


@pytest.mark.parametrize("times", [(1e200, 1.0), (1.0, 1e-200)])
def test_times_whose_error_is_no_number_are_refused(times: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="_ms"):
        from_fields(to_fields(check(*times)))


@given(many=MANY)
def test_bounds_and_order_of_the_shares(many: list[ModelCheck]) -> None:
    found = summary(many)
    assert 0 <= found["within_5"] <= found["within_10"] <= 1
    assert abs(found["bias"]) <= found["rmspe"] * (1 + 1e-9)
    assert found["rmspe"] <= abs(found["worst"]) * (1 + 1e-9)
    assert found["spearman"] is None or -1 <= found["spearman"] <= 1


@given(times=st.lists(TIMES, min_size=3, max_size=12, unique=True))
def test_predictions_in_the_reverse_order_correlate_inversely(times: list[float]) -> None:
    found = summary([check(predicted, 1 / predicted) for predicted in times])
    assert found["spearman"] == pytest.approx(-1.0)


@given(inside=st.integers(0, 8), outside=st.integers(0, 8))
def test_coverage_counts_what_lies_inside(inside: int, outside: int) -> None:
    many = [check(2.0, 2.05)] * inside + [check(2.0, 2.2)] * outside
    expected = inside / (inside + outside) if many else None
    assert summary(many)["coverage_90"] == (None if expected is None else pytest.approx(expected))


def test_what_the_numbers_are() -> None:
    found = summary([check(1.04, 1.0), check(0.92, 1.0), check(1.2, 1.0, predicted_rss=None), check(1.0, 1.0)])
    assert (found["n"], found["within_5"], found["within_10"], found["worst"]) == (4, 0.5, 0.75, pytest.approx(0.2))
    assert found["bias"] == pytest.approx((0.04 - 0.08 + 0.2) / 4)
    assert found["rmspe"] == pytest.approx(((0.04**2 + 0.08**2 + 0.2**2) / 4) ** 0.5)
    assert found["memory_within_3"] == 1.0
    assert in_words(found) == (
        "of 4 held-out models measured on this table: 2 within ±5 %, 3 within ±10 %, bias +4.0%, worst +20.0%"
    )


def test_few_or_equal_models_have_no_rank_correlation() -> None:
    assert summary([check(1, 2), check(2, 3)])["spearman"] is None
    assert summary([check(1, 2), check(1, 3), check(1, 4)])["spearman"] is None
    assert in_words(summary([])).startswith("not validated yet")


@given(one=checks())
def test_a_row_says_all_of_a_check(one: ModelCheck) -> None:
    assert from_fields(to_fields(one)) == one


@given(keys=st.lists(st.text(st.characters(blacklist_categories=["Cs"]), max_size=8), max_size=6), data=st.data())
def test_a_digest_is_of_the_operations_not_of_their_order(keys: list[str], data: st.DataObject) -> None:
    assert digest_of(data.draw(st.permutations(keys))) == digest_of(keys)
    assert digest_of([*keys, "one more"]) != digest_of(keys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return table([row(conv(4, 4), 1000.0)]).save(tmp_path / "table")


def test_the_block_is_of_the_held_out_models(folder: Path) -> None:
    cells = (folder / "cells.csv").read_bytes()
    add_check(folder, check(1.0, 1.0, digest="a" * 64, held_out=False))
    assert Manifest.load(folder / "table.json").validation is None
    add_check(folder, check(1.2, 1.0, digest="b" * 64))
    found = CostTable.load(folder).manifest.validation
    assert found == summary([check(1.2, 1.0)])
    assert len(read_checks(folder)) == 2
    assert (folder / "cells.csv").read_bytes() == cells


def test_a_later_check_of_the_same_model_and_source_replaces(folder: Path) -> None:
    add_check(folder, check(1.0, 1.0))
    add_check(folder, check(1.0, 1.5))
    add_check(folder, check(1.0, 1.2, source="profile"))
    assert [(one.source, one.measured_ms) for one in read_checks(folder)] == [("run", 1.5), ("profile", 1.2)]


def test_never_validated_is_no_error(folder: Path, tmp_path: Path) -> None:
    assert read_checks(folder) == ()
    with pytest.raises(TableError, match="hwaware profile"):
        add_check(tmp_path / "nowhere", check())


@pytest.mark.parametrize(
    ("find", "put", "said"),
    [
        ("run", "walk", "source is 'walk'"),
        ("true", "yes", "held_out is 'yes'"),
        (",1.0,", ",nan,", "is 'nan'"),
        (",1.0,", ",-1.0,", "is '-1.0'"),
        ("600000", "6e5", "weights is '6e5'"),
        (",0.95,", ",1.95,", "no interval"),
        ("net,", "ne\x1bt,", "model is"),
        ("net,", "net,,", "17 fields"),
        ("model,", "modal,", "header"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(folder: Path, find: str, put: str, said: str) -> None:
    add_check(folder, check())
    path = folder / VALIDATION
    text = path.read_text()
    assert find in text
    path.write_text(text.replace(find, put, 1))
    with pytest.raises(TableError, match=said) as caught:
        read_checks(folder)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_stands_twice_is_refused(folder: Path) -> None:
    add_check(folder, check())
    path = folder / VALIDATION
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    with pytest.raises(TableError, match="line 3: the model net occurs twice"):
        read_checks(folder)


def test_what_could_not_be_read_again_is_not_written(folder: Path) -> None:
    with pytest.raises(TableError, match="measured_ms"):
        add_check(folder, check(1.0, 0.0))
    assert not (folder / VALIDATION).exists()


def _add_some(folder: Path, first: int) -> None:
    for number in range(first, first + 10):
        add_check(folder, check(1.0, 1.0, digest=f"{number:064x}"))


def test_two_processes_lose_nothing(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_add_some, args=(folder, first)) for first in (0, 100)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert {int(one.digest, 16) for one in read_checks(folder)} == {*range(10), *range(100, 110)}
    block = CostTable.load(folder).manifest.validation
    assert block is not None
    assert block["n"] == 20
    assert sorted(path.name for path in folder.iterdir()) == ["cells.csv", "table.json", VALIDATION]
