"""Tables that are shipped: what is thinned, what is refused, and those that are in the repository."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.ship_table import CONDITIONS, KEPT, MOST_BYTES, THINNED, problems, ship, thinned
from hwaware.costs.row import FAILED, CellRow, from_fields, statistics_of, to_fields
from hwaware.costs.table import CELLS, MANIFEST, CostTable
from hwaware.costs.validation import VALIDATION, add_check
from tests.costs.checks import check
from tests.costs.tables import conv, pool, row, table

SHIPPED = Path(__file__).parents[2] / "cost_tables"
GOOD = dict.fromkeys(CONDITIONS) | {"emulated": False, "load1": 0.2, "kernel": "6.1.0-18-cloud-amd64"}


def written(folder: Path, rows: list[CellRow], **fields: Any) -> Path:
    """A table that could be shipped, but for `fields`."""
    table(rows, **({"conditions": GOOD} | fields)).save(folder)
    add_check(folder, check())
    return folder


@given(samples=st.lists(st.floats(0.1, 1e9), min_size=1, max_size=200))
def test_thinned_rows_keep_their_summary_and_their_extremes(samples: list[float]) -> None:
    whole = replace(row(pool(4), 1.0), **statistics_of(samples))
    thin = thinned(whole)
    assert thin.n == len(thin.samples_ns) == min(len(samples), KEPT)
    assert replace(thin, samples_ns=whole.samples_ns, n=whole.n) == whole
    assert {min(thin.samples_ns), max(thin.samples_ns)} == {min(whole.samples_ns), max(whole.samples_ns)}
    assert set(thin.samples_ns) <= set(whole.samples_ns)
    assert thinned(thin) == thin
    assert from_fields(to_fields(thin)) == thin


def test_a_small_table_is_shipped_as_it_is(tmp_path: Path) -> None:
    source = written(tmp_path / "measured", [row(conv(4, 8), 1000.0), row(pool(8), 50.0)])
    assert ship(source, tmp_path / "new" / "board-net") == []
    for name in (CELLS, VALIDATION, MANIFEST):
        assert (tmp_path / "new" / "board-net" / name).read_bytes() == (source / name).read_bytes()


def test_a_large_table_is_thinned_and_says_so(tmp_path: Path) -> None:
    samples = statistics_of([100.0 + index % 37 for index in range(400)])
    rows = [replace(row(pool(width), 1.0), **samples) for width in range(1, 201)]
    source = written(tmp_path / "measured", rows, facts={"arch": "x86_64", "hostname": "box"})
    assert (source / CELLS).stat().st_size > MOST_BYTES
    before = CostTable.load(source)
    assert ship(source, tmp_path / "out", device="epyc") == []
    after = CostTable.load(tmp_path / "out")
    assert (tmp_path / "out" / CELLS).stat().st_size < MOST_BYTES
    assert after.manifest.notes == (THINNED,)
    assert after.manifest.device == "epyc"
    assert after.manifest.facts == {"arch": "x86_64"}
    assert after.manifest.validation == before.manifest.validation
    assert [one.p50_ns for one in after.rows] == [one.p50_ns for one in before.rows]
    assert CostTable.load(source) == before


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"emulated": True}, "under an emulator"),
        ({"conditions": {}}, "conditions lack governor"),
        ({"models": ("/home/me/net.py:tiny",)}, "holds a path"),
        ({"notes": ("ask ann@example.org",)}, "holds an address"),
        ({"device": "box.local"}, "holds a host"),
    ],
)
def test_what_cannot_be_shipped(fields: dict[str, Any], said: str, tmp_path: Path) -> None:
    source = written(tmp_path / "measured", [row(pool(8), 50.0)], **fields)
    found = ship(source, tmp_path / "out")
    assert len(found) == 1
    assert said in found[0]
    assert not (tmp_path / "out").exists()


def test_failures_have_reasons_and_predictions_were_tested(tmp_path: Path) -> None:
    plain = row(pool(8), 50.0)
    failed = CellRow(plain.key, plain.family, plain.kind, plain.coordinates, 1, FAILED)
    table([failed], conditions=GOOD).save(tmp_path / "a")
    assert sorted(problem.split(":")[0] for problem in problems(tmp_path / "a")) == [
        "it has no validation block",
        f"{plain.key} failed without a reason".split(":", maxsplit=1)[0],
    ]


def test_the_tables_of_the_repository_are_fit() -> None:
    folders = [path for path in SHIPPED.iterdir() if path.is_dir()]
    assert {str(folder): list(problems(folder)) for folder in folders} == {str(folder): [] for folder in folders}
    assert [path.name for path in SHIPPED.iterdir() if path.is_file()] == ["README.md"]


def test_the_readme_names_every_column_and_field() -> None:
    from dataclasses import fields

    from hwaware.costs.manifest import Manifest
    from hwaware.costs.model_check import ModelCheck

    text = (SHIPPED / "README.md").read_text()
    for kind in (Manifest, CellRow, ModelCheck):
        missing = [field.name for field in fields(kind) if f"`{field.name}`" not in text]
        assert missing == [], kind
