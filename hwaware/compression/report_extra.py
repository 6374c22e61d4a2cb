"""What a compressed model's folder tells its latency report: accuracy and widths."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hwaware.compression.plan import PLAN, Plan
from hwaware.compression.saved import BASELINE
from hwaware.fields import Fields
from hwaware.graph.store import MODEL, load_extra


def report_extra(folder: Path) -> dict[str, Any]:
    """The ``extra`` of an artifact: {} for a model that `hwaware compress` did not write.

    ``accuracy`` is the task's metric, ``widths`` channels by group. What a table predicts is asked of the table, once
    it is known for which device and threads. Raises ArtifactError for a damaged folder.
    """
    file = folder / MODEL
    if not file.is_file():
        return {}
    top = Fields(str(file), "extra", load_extra(folder), PLAN)
    if not top.has("metric"):
        return {}
    result: dict[str, Any] = {"accuracy": top.number("metric")}
    whole = folder.parent if folder.name == BASELINE else folder
    plan = _plan(whole)
    if plan is not None and plan.groups:
        before = folder.name == BASELINE
        result["widths"] = {group.name: group.before if before else group.after for group in plan.groups}
    return result


def _plan(folder: Path) -> Plan | None:
    if not (folder / MODEL).is_file():
        return None
    top = Fields(str(folder / MODEL), "extra", load_extra(folder), PLAN)
    return Plan.from_document(top.section("plan").values, str(folder / MODEL)) if top.has("plan") else None
