"""What is kept of a prediction, and which runs a table takes for its validation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwaware.costs.audit import Measured, Stored, StoredOp, keep
from hwaware.costs.model_check import digest_of
from hwaware.costs.prediction import MEASURED, OpCost, Prediction
from hwaware.costs.table import CostTable
from hwaware.costs.validation import read_checks, write_checks
from hwaware.errors import TableError
from hwaware.fields import Fields
from hwaware.files import Document
from tests.costs.checks import check
from tests.costs.tables import FINGERPRINT, TOOLCHAIN, conv, row, table

HERE: dict[str, Any] = {"device": FINGERPRINT, "toolchain": TOOLCHAIN, "threads": 1, "protocol": "pinned"}
RUN = Measured(1.0, (0.98, 1.02), weights=600, arena=400, peak_rss=9000)
DOCUMENT = Document("artifact manifest", "compile the model again", TableError)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return table([row(conv(4, 4), 1000.0)]).save(tmp_path / "table")


def stored(folder: Path, provenance: str = MEASURED) -> Stored:
    key = conv(4, 4).key
    prediction = Prediction(
        latency_ms=1.1,
        interval_ms=(1.0, 1.2),
        memory_bytes={"weights": 600, "arena": 400, "peak_rss": 9100},
        ops=(OpCost("conv", key, 1.1, provenance),),
    )
    return Stored.of(prediction, CostTable.load(folder))


def kept(folder: Path, what: Stored, **changes: Any) -> None:
    keep(folder, what, RUN, model=changes.pop("model", "net"), here=HERE | changes, created="now")


def test_a_table_that_is_in_no_folder_says_so() -> None:
    with pytest.raises(TableError, match="in no folder"):
        Stored.of(Prediction(1.0, (0.9, 1.1), {}, ()), table([row(conv(4, 4), 1000.0)]))


def test_what_the_profile_ran_as_a_whole_is_not_held_out_whatever_it_is_called(folder: Path) -> None:
    what = stored(folder)
    profiled = check(model="first name~whole", digest=digest_of([conv(4, 4).key]), source="training")
    kept(folder, what, model="second name")
    write_checks(folder, [profiled])
    kept(folder, what, model="third name")
    assert [one.held_out for one in read_checks(folder) if one.source == "run"] == [False]


def test_it_survives_the_artifact(folder: Path) -> None:
    before = stored(folder)
    document = json.loads(json.dumps(before.document()))
    assert Stored.read(Fields("manifest.json", "predicted", document, DOCUMENT)) == before


def test_what_compress_keeps_can_be_read() -> None:
    document = {"latency_ms": 1.0, "interval_ms": [0.9, 1.1], "table": "table"}
    bare = Stored.read(Fields("manifest.json", "predicted", document, DOCUMENT))
    assert (bare.ops, bare.threads, bare.other_run(2, "pinned")) == ((), None, None)


def test_a_run_with_other_threads_or_protocol_is_another_question(folder: Path) -> None:
    known = stored(folder)
    assert known.other_run(1, "pinned") is None
    assert "threads 1, this run took 2" in (known.other_run(2, "pinned") or "")
    assert "as-shipped" in (known.other_run(1, "as-shipped") or "")


@pytest.mark.parametrize(
    ("model", "provenance", "held_out"),
    [("net", MEASURED, False), ("net", "interpolated", True), ("other", MEASURED, True)],
)
def test_which_models_are_held_out(folder: Path, model: str, provenance: str, held_out: bool) -> None:
    kept(folder, stored(folder, provenance), model=model)
    (check,) = read_checks(folder)
    assert check.held_out is held_out
    assert (check.predicted_ms, check.measured_ms, check.predicted_rss, check.measured_rss) == (1.1, 1.0, 9100, 9000)
    assert (CostTable.load(folder).manifest.validation is not None) is held_out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device": FINGERPRINT | {"cpus": 4}}, "device cpus: 2 in the table, 4 here"),
        ({"toolchain": TOOLCHAIN | {"tvm": "0.28.0"}}, "toolchain tvm"),
        ({"threads": 2}, "threads: 1 in the table, 2 here"),
        ({"protocol": "as-shipped"}, "protocol"),
        ({"emulated": True}, "emulated"),
        ({"power": {"mode": "15W", "governor": None}}, "power mode"),
    ],
)
def test_a_run_under_other_circumstances_is_not_added(folder: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(TableError, match=said):
        kept(folder, stored(folder), **changes)
    assert read_checks(folder) == ()


def test_a_table_that_has_changed_since_is_not_judged_by_its_old_answer(folder: Path) -> None:
    before = stored(folder)
    kept(folder, before)  # its validation is no change
    kept(folder, before)
    table([row(conv(4, 4), 2000.0)]).save(folder)
    with pytest.raises(TableError, match="no longer"):
        kept(folder, before)


def test_an_answer_without_operations_is_not_added(folder: Path) -> None:
    with pytest.raises(TableError, match="--table"):
        kept(folder, replace(stored(folder), ops=()))
    kept(folder, replace(stored(folder), ops=(StoredOp("conv", "key", 1.0, MEASURED),)))
