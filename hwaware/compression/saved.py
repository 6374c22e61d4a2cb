"""A compression's result as a directory.

``DIR/model.json`` and ``DIR/weights.safetensors`` are the compressed model, ``DIR/baseline/`` the one that went in:
both are directories that every verb takes for a MODEL. The plan, metrics and predictions stand in model.json under
``extra``. A cost table in ``DIR/table`` is left where it is. The directory appears whole or not at all.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwaware.compiler.choice import Chooser
from hwaware.compiler.targets import Target
from hwaware.compression.compress import Result
from hwaware.compression.lighter.goal import Lighter
from hwaware.compression.plan import PLAN, Plan
from hwaware.compression.schedules import Schedules
from hwaware.errors import ArtifactError
from hwaware.fields import Fields
from hwaware.graph.model import GraphModel
from hwaware.graph.store import ENCODED, MODEL, WEIGHTS, load, load_extra, save

BASELINE, TABLE, SCHEDULES, CHECKPOINTS, LIGHTER = "baseline", "table", "schedules", "checkpoints", "lighter"
_OURS = {MODEL, WEIGHTS, ENCODED, BASELINE, TABLE, CHECKPOINTS}


_Stored = tuple[GraphModel, Mapping[str, object]]  # a model and its extra


@dataclass(frozen=True)
class Saved:
    """What a directory of `save_result` holds; the baseline is loaded from its own directory."""

    model: GraphModel
    plan: Plan
    metric: float
    baseline_metric: float
    baseline: Path


def check_destination(directory: Path) -> None:
    """Raise ArtifactError, before any work is done, where `save_result` would have to overwrite foreign files."""
    if directory.is_dir():
        foreign = sorted({path.name for path in directory.iterdir()} - _OURS)
        if not foreign:
            return
        what = f"holds {foreign[0]!r}, which is none of hwaware compress"
    elif directory.exists() or directory.is_symlink():
        what = "is a file"
    else:
        return
    raise ArtifactError(f"{directory} {what}: choose another directory with --out")


def save_result(result: Result, directory: Path | str) -> None:
    """Write `result` as `directory`, replacing an earlier one. Raises ArtifactError; nothing is half-written."""
    target = Path(directory)
    check_destination(target)
    before: dict[str, object] = {"metric": result.baseline_metric, "cost": result.baseline_cost.document()}
    extra = {
        "plan": result.plan.document(),
        "metric": result.metric,
        "cost": result.cost.document(),
        "baseline": before,
        SCHEDULES: result.schedules.document(),
    }
    _write(target, (result.model, extra), (result.baseline, before | {SCHEDULES: result.schedules.document()}))


def save_lighter(result: Lighter, directory: Path | str) -> None:
    """Write a model with few or coded weights as `save_result` writes another; what became of it is in `extra`."""
    target = Path(directory)
    check_destination(target)
    _write(target, (result.model, {LIGHTER: result.document()}), (result.baseline, {"metric": result.baseline_metric}))


def load_result(directory: Path | str) -> Saved:
    """What `save_result` wrote. Raises ArtifactError naming the file and what is wrong with it."""
    folder = Path(directory)
    model = load(folder)
    top = Fields(str(folder / MODEL), "extra", load_extra(folder), PLAN)
    plan = Plan.from_document(top.section("plan").values, str(folder / MODEL))
    return Saved(model, plan, top.number("metric"), top.section("baseline").number("metric"), folder / BASELINE)


def saved_target(directory: Path) -> Mapping[str, Any] | None:
    """The identity of the target that the costs of the model in `directory` were measured on.

    None for a model that `hwaware compress` did not write. Raises ArtifactError for a damaged one.
    """
    found = _schedules(directory)
    return None if found is None else found.identity


def saved_chooser(directory: Path, target: Target) -> Chooser | None:
    """The schedules that the costs of the model in `directory` were measured with.

    None for a model that `hwaware compress` did not write, and for one whose costs were measured on another target.
    Raises ArtifactError for a damaged folder.
    """
    found = _schedules(directory)
    return None if found is None else found.of_target(target)


def _schedules(directory: Path) -> Schedules | None:
    if not (directory / MODEL).is_file():
        return None
    top = Fields(str(directory / MODEL), "extra", load_extra(directory), PLAN)
    return Schedules.from_fields(top.section(SCHEDULES)) if top.has(SCHEDULES) else None


def _write(target: Path, model: _Stored, baseline: _Stored) -> None:
    temporary = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    try:
        save(model[0], temporary, extra=model[1])
        save(baseline[0], temporary / BASELINE, extra=baseline[1])
        _swap(temporary, target)
    except OSError as error:
        raise ArtifactError(
            f"{target} cannot be written: {error.strerror or error}; free space or choose another --out"
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap(temporary: Path, target: Path) -> None:
    """Put `temporary` in the place of `target`; a table in there moves over."""
    if not target.exists():
        os.rename(temporary, target)
        return
    aside = target.parent / f".{target.name}.{secrets.token_hex(4)}"
    os.rename(target, aside)
    try:
        if (aside / TABLE).exists():
            os.rename(aside / TABLE, temporary / TABLE)
        os.rename(temporary, target)
    except OSError:
        if (temporary / TABLE).exists():
            os.rename(temporary / TABLE, aside / TABLE)
        os.rename(aside, target)
        raise
    shutil.rmtree(aside)
