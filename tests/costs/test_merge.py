"""Merging: laws over random tables, and what does not belong together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.costs.manifest import Manifest
from hwaware.costs.merge import Source, better, merge, write
from hwaware.costs.model_check import ModelCheck
from hwaware.costs.model_errors import ModelErrors, errors_of, with_errors
from hwaware.costs.row import ALONE, GRAPH, STATUSES, CellRow, statistics_of
from hwaware.costs.table import CostTable
from hwaware.costs.validation import add_check, read_checks, validation_of
from hwaware.errors import TableError
from tests.costs.checks import check
from tests.costs.tables import FINGERPRINT, TOOLCHAIN, conv, manifest, pool, row, table

TIMES = st.lists(st.sampled_from([90.0, 100.0, 101.0, 102.0, 150.0]), min_size=2, max_size=6)


@st.composite
def rows(draw: st.DrawFn) -> tuple[CellRow, ...]:
    """Cells among three workloads in two states, so that tables share some."""
    made = []
    places = st.tuples(st.sampled_from([1, 2, 4]), st.sampled_from([ALONE, GRAPH]))
    for width, state in draw(st.lists(places, unique=True, max_size=4)):
        status = draw(st.sampled_from(STATUSES))
        cause = "" if status == "ok" else draw(st.sampled_from(["a cause", "another"]))
        plain = row(pool(width), 100.0, status=status, reason=cause, state=state)
        if status == "failed":
            bare = CellRow(plain.key, plain.family, plain.kind, plain.coordinates, 1, status, cause)
            made.append(replace(bare, state=state))
        else:
            made.append(replace(plain, **statistics_of(draw(TIMES))))
    return tuple(made)


def checked(digest: str, source: str = "run", created: str = "2024-05-01T00:00:00+00:00", **fields: Any) -> ModelCheck:
    """A check of the model with this (short) digest."""
    return check(digest=digest * 64, source=source, created=created, **fields)


@st.composite
def errors(draw: st.DrawFn) -> dict[str, Any]:
    """What the table says of its errors, if it was tested: the fields of a manifest."""
    models = draw(st.dictionaries(st.sampled_from("abc"), st.integers(1, 3), max_size=2))
    by_model = {
        name: ModelErrors(count, draw(st.sampled_from([0.0, 30.0])), 2.0, count, draw(st.sampled_from([0.5, 2.0])))
        for name, count in models.items()
    }
    made = with_errors(manifest(overhead_ns=draw(st.sampled_from([0.0, 10.0]))), by_model)
    return {"overhead_ns": made.overhead_ns, "fit": made.fit}


@st.composite
def sources(draw: st.DrawFn) -> Source:
    made = CostTable(
        manifest(
            created=f"2024-01-0{draw(st.integers(1, 3))}T00:00:00+00:00",
            models=tuple(draw(st.lists(st.sampled_from("abc"), unique=True, max_size=3))),
            notes=tuple(draw(st.lists(st.sampled_from(["warm", "fan off"]), unique=True))),
            complete=draw(st.booleans()),
            facts={"load1": draw(st.integers(0, 2))},
            **draw(errors()),
        ),
        draw(rows()),
    ).sealed()
    days = st.integers(1, 3)
    checks = {
        (digest, source): checked(digest, source, f"2024-05-0{draw(days)}T00:00:00+00:00", held_out=draw(st.booleans()))
        for digest, source in draw(
            st.lists(st.tuples(st.sampled_from("12"), st.sampled_from(["run", "profile"])), unique=True, max_size=3)
        )
    }
    return Source("one", made, tuple(checks.values()))


def content(source: Source) -> tuple[Manifest, frozenset[CellRow], frozenset[ModelCheck]]:
    """All of a table but the order of its rows, and the hash that follows from it."""
    return replace(source.table.manifest, cells_sha256=""), frozenset(source.table.rows), frozenset(source.checks)


@given(a=sources())
@settings(deadline=None)
def test_merging_is_idempotent(a: Source) -> None:
    once = merge([a, a])
    assert frozenset(once.table.rows) == frozenset(a.table.rows)
    assert set(once.checks) == set(a.checks)
    assert content(merge([once, once])) == content(once)
    assert content(merge([once, a])) == content(once)


@given(a=sources(), b=sources(), c=sources())
@settings(deadline=None)
def test_neither_order_nor_grouping_matters(a: Source, b: Source, c: Source) -> None:
    whole = content(merge([a, b, c]))
    assert content(merge([c, a, b])) == whole
    assert content(merge([b, a, c])) == whole
    assert content(merge([merge([a, b]), c])) == whole
    assert content(merge([a, merge([b, c])])) == whole


@given(parts=st.lists(sources(), min_size=2, max_size=4))
@settings(deadline=None)
def test_nothing_is_lost_and_nothing_made_up(parts: Sequence[Source]) -> None:
    merged = merge(parts)
    given_rows = [one for part in parts for one in part.table.rows]
    places = [one.identity for one in merged.table.rows]
    assert len(places) == len(set(places))
    assert set(places) == {one.identity for one in given_rows}
    assert set(merged.table.rows) <= set(given_rows)
    for kept in merged.table.rows:
        rivals = [one for one in given_rows if one.identity == kept.identity]
        assert STATUSES.index(kept.status) == min(STATUSES.index(one.status) for one in rivals)
    models = {(one.digest, one.source) for part in parts for one in part.checks}
    assert {(one.digest, one.source) for one in merged.checks} == models
    assert set(merged.table.manifest.models) == {name for part in parts for name in part.table.manifest.models}
    assert merged.table.manifest.complete == all(part.table.manifest.complete for part in parts)
    assert merged.table.manifest.validation == validation_of(merged.checks)


def test_statuses_are_listed_from_the_best() -> None:
    assert STATUSES == ("ok", "unstable", "throttled", "failed")


def test_the_steadier_measurement_is_kept_whole() -> None:
    steady = row(pool(4), 100.0)
    loose = replace(row(pool(4), 90.0), **statistics_of([80.0, 90.0, 100.0, 85.0, 95.0]))
    unstable = replace(steady, status="unstable", reason="samples spread")
    assert better(loose, steady) == better(steady, loose) == steady
    assert better(unstable, loose) == better(loose, unstable) == loose


def source(name: str, **fields: Any) -> Source:
    return Source(name, table([row(conv(4, 8), 1000.0)], **fields))


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"fingerprint": {**FINGERPRINT, "cpus": 4}}, "device cpus: 2 in tables/a, 4 in tables/b"),
        ({"toolchain": {**TOOLCHAIN, "tvm": "0.28"}}, "toolchain tvm: '0.27.0' in tables/a, '0.28' in tables/b"),
        ({"threads": 2}, "threads: 1 in tables/a, 2 in tables/b"),
        ({"protocol": "as-shipped"}, "protocol: 'pinned' in tables/a, 'as-shipped' in tables/b"),
        ({"conditions": {"power_mode": "15W"}}, "power mode: None in tables/a, '15W' in tables/b"),
        ({"rule": {"displace_kb": 512, "min_count": 9}}, "measuring rule min_count: None in tables/a, 9 in tables/b"),
        ({"emulated": True}, "emulated: False in tables/a, True in tables/b"),
    ],
)
def test_strangers_are_refused_by_name(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError, match=f"^tables/a and tables/b cannot be merged: {said}; ") as caught:
        merge([source("tables/a"), source("tables/b", **fields)])
    assert "\n" not in str(caught.value)


def test_a_stranger_among_three_is_found() -> None:
    """The first has no governor to compare with, the other two differ."""
    with pytest.raises(TableError, match=r"b and c cannot be merged: power governor"):
        merge(
            [
                source("a"),
                source("b", conditions={"governor": "performance"}),
                source("c", conditions={"governor": "powersave"}),
            ]
        )


def saved(folder: Path, made: CostTable, *checks: ModelCheck) -> Source:
    made.save(folder)
    for one in checks:
        add_check(folder, one)
    return Source.read(folder)


def test_a_merged_table_is_read_back_with_its_checks(tmp_path: Path) -> None:
    a = saved(tmp_path / "a", table([row(conv(4, 8), 1000.0), row(pool(8), 50.0)]), checked("1"))
    b = saved(tmp_path / "b", table([row(conv(4, 8), 1000.0), row(conv(8, 8), 2000.0)]), checked("2"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    merged = merge([a, b])
    write(merged, tmp_path / "new" / "both")
    found = Source.read(tmp_path / "new" / "both")
    assert content(found) == content(merged)
    assert found.table.manifest.validation is not None
    assert found.table.manifest.validation["n"] == 2
    assert set(read_checks(tmp_path / "new" / "both")) == {*a.checks, *b.checks}
    assert {path: path.read_bytes() for path in before} == before
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["both"]


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    a, b = source("a"), Source("b", table([row(pool(8), 50.0)]))
    out = tmp_path / "out"
    out.mkdir()
    write(merge([a, b]), out)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    write(merge([a, b]), out)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    with pytest.raises(TableError, match=r"out holds something else already: choose another --out"):
        write(merge([a, a]), out)
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years of work")
    with pytest.raises(TableError, match="choose another --out"):
        write(merge([a, b]), thesis)
    assert thesis.read_text() == "years of work"
    assert CostTable.load(out).rows == merge([a, b]).table.rows


def test_merged_tables_know_the_errors_of_all_their_models() -> None:
    few, many = ModelErrors(4, 100.0, 10.0, 4, 1.0), ModelErrors(12, 500.0, 10.0, 12, 2.0)
    first = Source("first", replace(table([]), manifest=with_errors(manifest(), {"a": few, "b": few})))
    second = Source("second", replace(table([]), manifest=with_errors(manifest(), {"b": many})))
    found = merge([first, second]).table.manifest
    assert errors_of(found) == {"a": few, "b": many}
    assert found.overhead_ns == pytest.approx((4 * 100 + 12 * 500) / 16)


def test_errors_that_are_none_are_refused() -> None:
    bad = replace(manifest(), fit={"by_model": {"a": {"models": "many"}}})
    with pytest.raises(TableError, match="models"):
        errors_of(bad)
