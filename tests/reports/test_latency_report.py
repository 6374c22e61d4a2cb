"""Reports on disk: what is written is what was promised, and what is read is not believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hwaware import files
from hwaware.errors import ArtifactError
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.parts import Memory, op_latencies
from tests.reports.fixtures import DEVICE, report


def document() -> dict[str, Any]:
    return report().to_document()


def load(tmp_path: Path, content: Any) -> LatencyReport:
    path = tmp_path / "edited.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return LatencyReport.load(path)


def test_document_has_the_promised_fields() -> None:
    written = document()
    identity = {
        "schema_version",
        "created",
        "model",
        "device",
        "toolchain",
        "conditions",
        "protocol",
        "threads",
    }
    measured = {"latency_ms", "memory_bytes", "ops", "warnings", "accuracy", "predicted", "widths"}
    assert set(written) == identity | measured
    assert set(written["latency_ms"]) == {
        "n", "min", "p10", "p50", "p90", "p99", "mad", "ci95", "cold", "samples"
    }  # fmt: skip
    assert set(written["memory_bytes"]) == {"weights", "arena", "peak_rss"}
    assert set(written["ops"][0]) == {"name", "key", "p50_ms", "share"}
    assert sum(op["share"] for op in written["ops"]) == pytest.approx(1, abs=1e-4)


def test_nanoseconds_in_milliseconds_out() -> None:
    made = LatencyReport.from_samples(
        [1_000_000.0, 2_000_000.5, 3_000_000.0],
        model="m",
        device=DEVICE,
        toolchain={},
        conditions={},
        protocol="pinned",
        threads=2,
        memory_bytes=Memory(1, 2, None),
        cold_ns=9e6,
    )
    assert made.latency_ms.samples == (1.0, 2.0000005, 3.0)
    assert (made.latency_ms.n, made.latency_ms.min, made.latency_ms.p50) == (3, 1.0, 2.0000005)
    assert made.latency_ms.cold == 9.0
    assert made.created.endswith("+00:00")


def test_save_and_load_round_trip(tmp_path: Path) -> None:
    saved = report(warnings=("hot: 80 °C",))
    path = saved.save(tmp_path / "new" / "r.json")
    assert LatencyReport.load(path) == saved
    assert [entry.name for entry in path.parent.iterdir()] == ["r.json"]


def test_optional_parts_may_be_absent(tmp_path: Path) -> None:
    bare = document()
    for name in ("accuracy", "predicted", "widths"):
        del bare[name]
    bare["memory_bytes"]["peak_rss"] = bare["latency_ms"]["cold"] = None
    loaded = load(tmp_path, bare)
    assert (loaded.accuracy, loaded.predicted, loaded.widths) == (None, None, None)
    assert (loaded.memory_bytes.peak_rss, loaded.latency_ms.cold) == (None, None)


def test_unknown_keys_are_ignored(tmp_path: Path) -> None:
    newer = document() | {"energy_mj": 3}
    newer["latency_ms"]["skew"] = 0.1
    assert load(tmp_path, newer) == report()


@pytest.mark.parametrize(
    "name",
    [
        "created",
        "model",
        "device",
        "latency_ms",
        "memory_bytes",
        "ops",
        "warnings",
        "threads",
        "schema_version",
    ],
)
def test_a_missing_field_is_named(tmp_path: Path, name: str) -> None:
    broken = document()
    del broken[name]
    with pytest.raises(ArtifactError, match=rf"{name} is missing"):
        load(tmp_path, broken)


def _set(*path: Any) -> Callable[[dict[str, Any]], None]:
    *way, last, value = path

    def edit(target: Any) -> None:
        for step in way:
            target = target[step]
        target[last] = value

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (_set("schema_version", 99), r"schema 99, this hwaware reads 1.*measure again"),
        (_set("schema_version", "1"), "schema 1"),
        (_set("model", ""), "model must be a non-empty string"),
        (_set("model", 3), "model must be a non-empty string"),
        (_set("threads", 0), "threads must be a whole number"),
        (_set("threads", True), "threads must be a whole number"),
        (_set("threads", 1.5), "threads must be a whole number"),
        (_set("device", "fingerprint", None), r"device\.fingerprint must be"),
        (_set("device", []), "device must be an object"),
        (_set("latency_ms", "samples", []), r"latency_ms\.samples cannot be used"),
        (_set("latency_ms", "samples", "fast"), r"latency_ms\.samples must be a list"),
        (_set("latency_ms", "samples", 0, -1), "above zero"),
        (_set("latency_ms", "samples", 0, None), "must be a finite number"),
        (_set("latency_ms", "n", 7), r"latency_ms\.n is 7 but its samples give 400"),
        (_set("latency_ms", "p50", 0.1), r"latency_ms\.p50 is 0\.1 but its samples give"),
        (_set("latency_ms", "ci95", [3, 1]), r"latency_ms\.ci95 must be \[low, high\]"),
        (_set("latency_ms", "cold", 10**400), "must be a finite number"),
        (_set("ops", 0, "share", 1.5), r"ops\[0\]\.share is 1\.5, outside 0 to 1"),
        (_set("ops", 0, "name", "stage1.block.conv1"), "names 'stage1.block.conv1' twice"),
        (_set("ops", 0, 3), r"ops\[0\] must be an object"),
        (_set("widths", "stem", 4.5), r"widths\.stem must be a whole number"),
        (_set("warnings", [1]), "warnings must be a list of strings"),
        (_set("predicted", "table", 1), r"predicted\.table must be"),
        (_set("model", "evil\x1b[2Jname"), "control characters"),
        (_set("conditions", "note", {"deep": ["\ud800"]}), "control characters"),
    ],
)
def test_a_bad_field_is_refused_by_name(tmp_path: Path, edit: Callable[[dict[str, Any]], None], message: str) -> None:
    broken = document()
    edit(broken)
    with pytest.raises(ArtifactError, match=message) as caught:
        load(tmp_path, broken)
    assert "edited.json" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not usable JSON"),
        ("[1]", "no JSON object"),
        ('{"a": NaN}', "contains NaN"),
        ('{"a": -Infinity}', "contains -Infinity"),
        ('{"a": 1e999}', "out of range"),
        ('{"a": ' + "9" * 5000 + "}", "not usable JSON"),
        ("[" * 100_000, "nested too deeply"),
        ('{"schema_version": 1', "not usable JSON"),
    ],
)
def test_bad_json_is_refused(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ArtifactError, match=message):
        load(tmp_path, content)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "binary.json"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ArtifactError, match="not usable JSON"):
        LatencyReport.load(path)


def test_too_large_a_file_is_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = report().save(tmp_path / "r.json")
    monkeypatch.setattr(files, "MAX_BYTES", 1000)
    with pytest.raises(ArtifactError, match="larger than 1000 bytes"):
        LatencyReport.load(path)


def test_an_absent_file_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="hwaware run ARTIFACT"):
        LatencyReport.load(tmp_path / "none.json")


def test_save_refuses_what_load_would_refuse(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    with pytest.raises(ArtifactError, match="accuracy must be a finite number"):
        report(accuracy=float("nan")).save(path)
    twice = report()
    with pytest.raises(ArtifactError, match="twice"):
        replace(twice, ops=twice.ops + twice.ops[:1]).save(path)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_report_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ArtifactError, match="cannot write"):
        report().save(tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]
    with pytest.raises(ArtifactError, match="name a file"):
        report().save(Path())
    blocked = report().save(tmp_path / "r.json")
    with pytest.raises(ArtifactError, match="cannot write"):
        report().save(blocked / "below-a-file.json")
    assert LatencyReport.load(blocked) == report()


def test_op_shares_are_of_the_sum() -> None:
    ops = op_latencies([("a", "ka", [3e6, 3e6]), ("b", "kb", [1e6])])
    assert [(op.name, op.p50_ms, op.share) for op in ops] == [("a", 3.0, 0.75), ("b", 1.0, 0.25)]


def test_an_operation_below_the_tick_of_a_coarse_clock_has_a_time() -> None:
    (op,) = op_latencies([("a", "ka", [0.0, 0.0, 0.0])])
    assert (op.p50_ms > 0, op.share) == (True, 1.0)
