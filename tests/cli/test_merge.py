"""`hwaware merge`: what is typed, what is said, what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwaware.cli import main
from hwaware.costs.table import CELLS, MANIFEST, CostTable
from tests.costs.tables import conv, pool, row, table


@pytest.fixture
def tables(tmp_path: Path) -> tuple[Path, Path]:
    """Two tables that share one cell."""
    a = table([row(conv(4, 8), 1000.0), row(pool(8), 50.0)], models=("wide",))
    b = table([row(conv(4, 8), 1000.0), row(conv(8, 8), 2000.0, status="unstable")], models=("deep",), complete=False)
    return a.save(tmp_path / "a"), b.save(tmp_path / "b")


def typed(*words: str | Path) -> int:
    return main(["merge", *map(str, words)])


def test_two_tables_become_one(tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "both"
    assert typed(*tables, "--out", out, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document == {
        "table": str(out),
        "cells": 3,
        "ok": 2,
        "unstable": 1,
        "throttled": 0,
        "failed": 0,
        "shared": 1,
        "models": ["deep", "wide"],
        "complete": False,
    }
    assert len(CostTable.load(out).rows) == 3
    assert sorted(path.name for path in out.iterdir()) == [CELLS, MANIFEST]
    assert typed(*tables, "--out", out) == 0
    said = capsys.readouterr().out
    assert "3 cells, 1 unstable, 1 were in more than one table" in said
    assert "models deep, wide; incomplete" in said


@pytest.mark.parametrize("kept", ["a", "thesis"])
def test_nothing_is_overwritten(
    kept: str, tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter").write_text("years of work")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert typed(*tables, "--out", tmp_path / kept) == 1
    said = capsys.readouterr().err
    assert said == f"error: {tmp_path / kept} holds something else already: choose another --out\n"
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_table_of_other_threads_is_named(
    tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = table([row(pool(4), 30.0)], threads=2).save(tmp_path / "c")
    assert typed(*tables, other, "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {tables[0]} and {other} cannot be merged: threads: 1 in {tables[0]}, 2 in {other};")
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_damaged_table_is_refused(
    tables: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tables[1] / CELLS).write_text("gone")
    assert typed(*tables, "--out", tmp_path / "out") == 1
    assert str(tables[1] / CELLS) in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_one_table_is_a_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        typed(tmp_path, "--out", tmp_path / "out")
    assert ended.value.code == 2
