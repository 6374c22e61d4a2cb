"""The audit in a report: kept in its file, told in a few lines, refused where it was damaged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hwaware.errors import ArtifactError
from hwaware.reports.audit import audit_lines
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.parts import Memory, Predicted, PredictedOp
from tests.reports.fixtures import report


def audited(factor: float = 1.0) -> LatencyReport:
    """A report whose table said `factor` times of what its operations took."""
    made = report()
    ops = tuple(PredictedOp(op.name, op.key, factor * op.p50_ms, "interpolated", op.p50_ms) for op in made.ops)
    total = factor * made.latency_ms.p50
    predicted = Predicted(total, (0.9 * total, 1.1 * total), "tables/board", factor - 1, 500_000, ops)
    return replace(made, predicted=predicted, memory_bytes=Memory(300_000, 90_000, 400_000))


def test_it_is_kept_in_the_file(tmp_path: Path) -> None:
    before = audited(1.02)
    assert LatencyReport.load(before.save(tmp_path / "report.json")) == before


def test_a_report_of_before_the_audit_is_still_read(tmp_path: Path) -> None:
    path = report().save(tmp_path / "report.json")
    document = json.loads(path.read_text())
    for name in ("error", "peak_rss", "ops"):
        del document["predicted"][name]
    path.write_text(json.dumps(document))
    assert LatencyReport.load(path).predicted == report().predicted


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ops": [{"name": "conv"}]}, r"predicted.ops\[0\].key is missing"),
        ({"ops": "none"}, "predicted.ops must be a list"),
        ({"error": -2.0}, "predicted.error is -2"),
        ({"peak_rss": 1.5}, "predicted.peak_rss must be a whole number"),
    ],
)
def test_a_damaged_audit_is_refused(tmp_path: Path, change: dict[str, object], said: str) -> None:
    document = audited().to_document()
    document["predicted"] |= change
    with pytest.raises(ArtifactError, match=said):
        LatencyReport.from_document(document, source="report.json")


def test_the_lines_tell_the_total_the_memory_and_the_worst() -> None:
    lines = audit_lines(audited(1.2))
    assert "+20.0% of measured" in lines[0]
    assert "predicted peak 500,000 bytes, +25.0%" in lines[1]
    assert lines[2].startswith("0 of 9 operations within ±10 %")
    assert len(lines) == 3 + 5
    dearest = max(report().ops, key=lambda op: op.p50_ms)
    assert lines[3].endswith(dearest.name)
    assert audit_lines(audited(1.05))[2].startswith("9 of 9 operations")


def test_without_timed_operations_there_is_the_total_alone() -> None:
    made = report()
    assert len(audit_lines(made)) == 1
    assert audit_lines(replace(made, predicted=None)) == []
