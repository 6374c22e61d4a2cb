"""Tables on disk: what is written is read, and what is damaged is refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwaware.costs.row import FAILED, CellRow, from_fields, statistics_of, to_fields
from hwaware.costs.rows_file import RowsFile
from hwaware.costs.table import CELLS, MANIFEST, CostTable
from hwaware.errors import TableError
from tests.costs.tables import conv, pool, row, table


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    rows = [row(conv(4, 8), 1234.5), row(conv(8, 8), 2000.0, khz_before=1800000), row(pool(8), 30.0)]
    rows.append(replace(row(conv(2, 8), 1.0), status=FAILED, reason='said "no", then, died', samples_ns=(), n=0))
    return table(rows).save(tmp_path / "a table")


def test_saved_tables_are_read_back(saved: Path) -> None:
    found = CostTable.load(saved)
    assert [entry.kind for entry in found.rows] == ["conv2d", "conv2d", "reduce", "conv2d"]
    assert found.rows[0].coordinates == (4, 8)
    assert found.rows[3].reason == 'said "no", then, died'
    assert found.save(saved.parent / "again") != saved
    assert CostTable.load(saved.parent / "again") == found
    assert sorted(path.name for path in saved.iterdir()) == [CELLS, MANIFEST]


def test_pandas_reads_the_cells_as_they_are(saved: Path) -> None:
    frame = pd.read_csv(saved / CELLS)
    assert list(frame["p50_ns"][:3]) == pytest.approx([1234.5, 2000.0, 30.0])
    assert len(frame["samples_ns"][0].split(";")) == frame["n"][0]
    pd.testing.assert_frame_equal(frame, CostTable.load(saved).to_pandas())


@given(
    samples=st.lists(st.floats(0.1, 1e9), min_size=1, max_size=40),
    reason=st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=30),
)
def test_rows_survive_text(samples: list[float], reason: str) -> None:
    made = CellRow("k|1", "f|1", "conv2d", (3, 4), 2, "unstable", reason, **statistics_of(samples))
    assert from_fields(to_fields(made)) == made


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def change(old: str, new: str) -> Callable[[Path], None]:
    return lambda path: path.write_text(path.read_text().replace(old, new, 1))


def reseal(old: str, new: str) -> Callable[[Path], None]:
    """Damage the cells and make the manifest vouch for them."""
    import hashlib

    def damage(path: Path) -> None:
        change(old, new)(path)
        manifest = path.with_name(MANIFEST)
        document = json.loads(manifest.read_text())
        document["cells_sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
        manifest.write_text(json.dumps(document))

    return damage


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        (CELLS, cut, "other hash"),
        (CELLS, Path.unlink, "cannot read"),
        (CELLS, change("1234.5", "1234.6"), "other hash"),
        (CELLS, reseal("1234.5", "nan"), "line 2: .*is 'nan'"),
        (CELLS, reseal("1234.5", "inf"), "line 2: .*is 'inf'"),
        (CELLS, reseal("1234.5", "-1"), "line 2"),
        (CELLS, reseal("p50_ns", "p51_ns"), "header"),
        (CELLS, reseal("1x6x6x8:f32->", "1x6x6x4:f32->"), "twice|coordinates"),
        (CELLS, reseal(",ok,", ",splendid,"), "status"),
        (MANIFEST, cut, "not usable JSON"),
        (MANIFEST, Path.unlink, "holds no cost table"),
        (MANIFEST, change('"schema_version": 4', '"schema_version": 99'), "schema version 99"),
        (MANIFEST, change("hwaware-cost-table", "shopping list"), "not a cost table"),
        (MANIFEST, change('"threads": 1', '"threads": "one"'), "threads"),
        (MANIFEST, change('"overhead_ns": 0.0', '"overhead_ns": NaN'), "NaN"),
        (MANIFEST, change('"lanes": 8', '"lanes": null'), "lanes"),
        (MANIFEST, change('"lanes": 8', '"lanes": 8, "l1": "x"'), "l1"),
        (MANIFEST, change('"cells": 4', '"cells": 5'), "says 5"),
        (MANIFEST, lambda path: path.write_bytes(b"\xff\xfe"), "not usable JSON"),
    ],
)
def test_damage_is_refused(saved: Path, name: str, damage: Callable[[Path], None], said: str) -> None:
    damage(saved / name)
    with pytest.raises(TableError, match=said) as caught:
        CostTable.load(saved)
    assert "\n" not in str(caught.value)
    assert str(saved) in str(caught.value)


def test_a_directory_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="hwaware profile MODEL --device NAME"):
        CostTable.load(tmp_path / "nothing")


@given(lost=st.integers(0, 400))
@settings(deadline=None, max_examples=30)
def test_a_growing_file_loses_at_most_the_row_that_was_being_written(
    tmp_path_factory: pytest.TempPathFactory, lost: int
) -> None:
    path = tmp_path_factory.mktemp("rows") / "cells.csv.part"
    rows = [row(pool(width), 100.0 * width) for width in (1, 2, 4)]
    with RowsFile(path, "") as file:
        for entry in rows:
            file.append(entry)
    raw = path.read_bytes()
    path.write_bytes(raw[: max(0, len(raw) - lost)])
    whole = path.read_bytes().count(b"\n") - 1
    with RowsFile(path, "") as file:
        assert file.rows == rows[: max(0, whole)]
        file.append(row(pool(8), 800.0))
    with RowsFile(path, "") as file:
        assert len(file.rows) == max(0, whole) + 1


def test_damage_inside_a_growing_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv.part"
    with RowsFile(path, "remedy") as file:
        for width in (2, 4):
            file.append(row(pool(width), 100.0))
    path.write_text(path.read_text().replace("100.0", "oops", 1))
    with pytest.raises(TableError, match=r"corrupt at line 2.*remedy"):
        RowsFile(path, "remedy")
