"""What is said of predictions: the worst of them op by op, two profiles beside each other, JSON, a picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.predict.audit import described, kind_lines, kinds, pairs, worst
from benchmarks.predict.outcome import label, series_of
from benchmarks.predict.repeat import lines, repeat
from benchmarks.predict.report import text, write
from tests.benchmarks.predictions import KEYS, outcome, series
from tests.costs.tables import conv, row

GOOD, OFF, NONE = outcome(1.0, 1.01), outcome(1.5, 1.0), outcome(None, 3.0)


def test_a_series_survives_json() -> None:
    made = series(GOOD, NONE)
    assert series_of(json.loads(json.dumps(made.document()))) == made


def test_labels_are_file_names() -> None:
    assert label("resnet20", 2) == "resnet20-t2"
    assert label("zoo:resnet8", 1) == "resnet8-t1"
    assert "/" not in label("dir/nets.py:tiny", 1)


def test_the_worst_come_first_and_what_was_not_predicted_before_them() -> None:
    first, second = series(GOOD, OFF), series(NONE, family="other")
    found = worst([first, second], 2)
    assert [(item.family, number) for item, number, _ in found] == [("other", 0), ("net", 1)]
    assert "not predicted: the table has no cost" in described(*found[0])[0]
    lines = described(*found[1])
    assert "error +50.0 %" in lines[0]
    assert KEYS[0] in lines[1]  # three quarters of the time: most milliseconds off
    assert "+50.0 %" in lines[1]
    assert "add up to 100.0 %" in lines[-1]


def test_ops_are_paired_only_where_the_programs_are_the_same() -> None:
    assert len(pairs(GOOD)) == len(KEYS)
    assert pairs(NONE) == []
    other = replace(GOOD, measured=replace(GOOD.measured, ops=GOOD.measured.ops[:1]))
    assert pairs(other) == []


def test_kinds_add_up_over_variants() -> None:
    found = kinds([series(GOOD, OFF), series(OFF)])
    assert [(kind.kind, kind.provenance, kind.count) for kind in found] == [
        ("conv2d", "interpolated", 3),
        ("reduce", "interpolated", 3),
    ]
    assert found[0].predicted_ms == pytest.approx(0.75 * (1.0 + 1.5 + 1.5))
    assert found[0].measured_ms == pytest.approx(0.75 * (1.01 + 1.0 + 1.0))
    assert len(kind_lines(found)) == 3


def test_two_profiles_agree_where_their_cells_do() -> None:
    a = [row(conv(4, width), 1000.0, schedule="direct") for width in (4, 8, 12)]
    b = [replace(a[0], p50_ns=1010.0), replace(a[1], p50_ns=980.0), replace(a[2], schedule="grouped")]
    found = repeat(a, [*b, row(conv(4, 16), 5.0)], [(GOOD.predicted, OFF.predicted), (None, OFF.predicted)])
    assert (found.cells, found.rescheduled, found.variants) == (2, 1, 1)
    assert found.cells_median == pytest.approx(0.015)
    assert found.drift == pytest.approx(-0.005)
    assert found.variants_median == pytest.approx(0.5)
    assert found.met
    assert "(asked ≤3 %: met)" in lines("net", found)[0]
    apart = repeat(a, [replace(item, p50_ns=1100.0) for item in a], [])
    assert not apart.met
    assert "missed by 7.0 %" in lines("net", apart)[0]
    assert "no cell" in lines("net", repeat(a, [], []))[0]


def test_the_report_has_every_part(tmp_path: Path) -> None:
    wrong = replace(OFF, measured=replace(OFF.measured, output_error=0.5))
    made = [series(GOOD, wrong), series(GOOD, NONE, family="vgg8", threads=2, predicted_first=False)]
    twice = {"net-t1": repeat([row(conv(4, 4), 10.0)], [row(conv(4, 4), 10.1)], [])}
    said = text(made, twice)
    for part in (
        "within ±5 %",
        "vgg8-t2: 7 cells",
        "predicted again",
        "OUTPUT 2 IS OFF BY 5.0e-01",
        "net-t1, profiled",
        "of those 40 % were over",
    ):
        assert part in said
    write(made, {"settings": {"seed": 1}}, twice, tmp_path)
    document = json.loads((tmp_path / "predict.json").read_text(), parse_constant=pytest.fail)
    assert document["scores"]["all"]["n"] == 4
    assert document["repeats"]["net-t1"]["met"] is True
    assert [series_of(item) for item in document["series"]] == made
    assert (tmp_path / "predict.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "predict.svg").read_text()


def test_a_series_without_any_prediction_is_still_drawn(tmp_path: Path) -> None:
    bare = replace(series(NONE, NONE), whole=NONE)
    write([bare], {}, {}, tmp_path)
    assert "not predicted" in text([bare], {})
