"""The audit of a run: its report with the prediction beside it, and the table's validation brought up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwaware.compiler.artifact import Artifact
from hwaware.costs.audit import Measured, Stored, keep
from hwaware.costs.identity import cores_of, power_of
from hwaware.costs.validation import held_back, in_words, read_checks, summary
from hwaware.errors import ArtifactError, HwawareError
from hwaware.fields import Fields
from hwaware.files import Document
from hwaware.profiling.run import RunResult
from hwaware.reports.latency_report import LatencyReport
from hwaware.reports.parts import Predicted, PredictedOp

_ARTIFACT = Document("artifact manifest", "compile the model again", ArtifactError)
_CLOSE = 0.10
_WORST = 5


def stored_prediction(artifact: Artifact) -> Stored | None:
    """What a cost table said of the model when it was compiled, None if none did. ArtifactError for a damaged one."""
    extra = Fields(str(artifact.path / "manifest.json"), "extra", artifact.manifest.get("extra") or {}, _ARTIFACT)
    return Stored.read(extra.section("predicted")) if extra.has("predicted") else None


def added(stored: Stored | None, report: LatencyReport, result: RunResult, *, table: Path | None) -> str | None:
    """Add the comparison of `result` with what is `stored` to the validation of `table`, and say so in one line.

    `table` is by default where the prediction came from. One that does not fit is said in the line and left alone.
    """
    if stored is None:
        return None if table is None else f"no cost table predicted {report.model}: compile it with --table {table}"
    other = stored.other_run(report.threads, report.protocol, report.conditions.get("cores"))
    if other is not None:
        return f"not audited: {other}"
    if not stored.ops and table is None:
        return None
    return _kept(table or Path(stored.table), stored, report, result)


def compared(stored: Stored, report: LatencyReport) -> Predicted:
    """What was `stored`, in total and by operation beside what the report's run took."""
    measured = {op.name: op.p50_ms for op in report.ops}
    return Predicted(
        latency_ms=stored.latency_ms,
        interval_ms=stored.interval_ms,
        table=stored.table,
        error=stored.latency_ms / report.latency_ms.p50 - 1,
        peak_rss=stored.peak_rss,
        ops=tuple(PredictedOp(**vars(op), measured_ms=measured.get(op.name)) for op in stored.ops),
    )


def _kept(folder: Path, stored: Stored, report: LatencyReport, result: RunResult) -> str:
    latency, memory = report.latency_ms, report.memory_bytes
    measured = Measured(latency.p50, latency.ci95, memory.weights, memory.arena, memory.peak_rss)
    here: dict[str, Any] = {
        "device": result.facts.fingerprint(),
        "emulated": result.facts.emulated,
        "toolchain": report.toolchain,
        "threads": report.threads,
        "protocol": report.protocol,
        "power": power_of(report.conditions),
        "cores": cores_of(report.conditions),
    }
    try:
        check = keep(folder, stored, measured, model=report.model, here=here, created=report.created)
        held_out = summary(held_back(read_checks(folder, stored.unit)))
    except HwawareError as error:
        return f"not added to a table's validation: {error}"
    kind = "as a held-out model" if check.held_out else "as a profiled model"
    so_far = f": {in_words(held_out)}" if held_out["n"] else ""
    return f"added to the validation of {folder} {kind}{so_far}"


def audit_lines(report: LatencyReport) -> list[str]:
    """The audit on the terminal: total, memory, and where operations were timed those that are the most ms off."""
    predicted, memory = report.predicted, report.memory_bytes
    if predicted is None:
        return []
    low, high = predicted.interval_ms
    off = predicted.latency_ms / report.latency_ms.p50 - 1
    lines = [f"predicted {predicted.latency_ms:.4g} ms ({low:.4g} to {high:.4g}), {off:+.1%} of measured"]
    if predicted.peak_rss and memory.peak_rss:
        lines.append(f"predicted peak {predicted.peak_rss:,} bytes, {predicted.peak_rss / memory.peak_rss - 1:+.1%}")
    timed = [(op, op.measured_ms) for op in predicted.ops if op.measured_ms]
    if not timed:
        return lines
    close = sum(abs(op.latency_ms / ms - 1) <= _CLOSE for op, ms in timed)
    lines.append(f"{close} of {len(timed)} operations within ±10 % of measured; the most milliseconds off:")
    for op, ms in sorted(timed, key=lambda pair: -abs(pair[0].latency_ms - pair[1]))[:_WORST]:
        lines.append(f"  {op.latency_ms:9.4f} ms, measured {ms:9.4f} {op.latency_ms / ms - 1:+7.1%}  {op.name}")
    return lines
