"""``validation.csv``: whole models on the table's device, predicted against measured; of a GPU ``validation-gpu.csv``.

A check is one model: what the table said before it ran, and what the clock said then. Checks of held-out models, with
operations that were not measured for the table, say how far the table can be trusted; their summary stands in the
manifest as its validation block.
"""

from __future__ import annotations

import csv
import fcntl
import io
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from hwaware.compiler.target import CPU
from hwaware.costs.manifest import TABLE, Manifest
from hwaware.costs.model_check import COLUMNS, TRAINING, ModelCheck, from_fields, to_fields
from hwaware.costs.table import JOURNAL, MANIFEST
from hwaware.errors import TableError
from hwaware.files import read_bytes, write_text_atomic

__all__ = [
    "VALIDATION",
    "ModelCheck",
    "add_check",
    "held_back",
    "in_words",
    "read_checks",
    "summary",
    "validation_file",
    "validation_of",
    "write_checks",
]  # fmt: skip

VALIDATION = "validation.csv"
_REMEDY = "remove the file and measure with `hwaware run ARTIFACT --device NAME --table DIR` again"
_PATIENCE_S = 10.0
_LEAST_RANKED = 3


def validation_file(folder: Path, unit: str | None = None) -> Path:
    """Where the checks of `unit` are, by default of the unit that the table in `folder` answers for.

    Raises TableError where the folder's manifest is damaged.
    """
    # While it is profiled, of the unit that is measured.
    found = (folder / name for name in (JOURNAL, MANIFEST) if unit is None and (folder / name).exists())
    manifest = next(found, None)
    chosen = unit or (CPU if manifest is None else Manifest.load(manifest).unit)
    return folder / VALIDATION if chosen == CPU else (folder / VALIDATION).with_stem(f"validation-{chosen}")


def read_checks(folder: Path, unit: str | None = None) -> tuple[ModelCheck, ...]:
    """The checks of the table in `folder`, none where it was never validated. Raises TableError naming the line."""
    path = validation_file(folder, unit)
    if not path.exists():
        return ()
    lines = csv.reader(io.StringIO(read_bytes(path, TABLE).decode("utf-8", errors="replace")), strict=True)
    checks: dict[tuple[str, str], ModelCheck] = {}
    try:
        if next(lines, None) != list(COLUMNS):
            raise ValueError("the header is not that of a validation")
        for values in lines:
            check = from_fields(values)
            if _place(check) in checks:
                raise ValueError(f"the model {check.model[:80]} occurs twice with source {check.source}")
            checks[_place(check)] = check
    except (ValueError, csv.Error) as error:
        raise TableError(f"{path} is corrupt at line {max(1, lines.line_num)}: {error}; {_REMEDY}") from error
    return tuple(checks.values())


def add_check(folder: Path, check: ModelCheck, unit: str | None = None) -> None:
    """Keep `check` in place of an earlier one of the same model and source, and bring the validation block up to date.

    It is of `unit`, by default of the one that the table answers for. Raises TableError where the folder holds no
    table, cannot be written, or is being profiled into.
    """
    try:
        from_fields(to_fields(check))
    except ValueError as error:
        raise TableError(f"the check of {check.model[:80]!r} says nothing: {error}; measure it again") from error
    with _locked(folder):
        manifest = Manifest.load(folder / MANIFEST)
        own = manifest.unit
        unit = unit or own
        checks = {_place(known): known for known in read_checks(folder, unit)} | {_place(check): check}
        write_checks(folder, checks.values(), unit)
        replace(manifest.of(unit), validation=validation_of(checks.values())).of(own).save(folder / MANIFEST)


def write_checks(folder: Path, checks: Iterable[ModelCheck], unit: str | None = None) -> None:
    """Write all checks of the table in `folder`, whose lock the caller holds. Raises TableError."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *map(to_fields, checks)])
    write_text_atomic(validation_file(folder, unit), text.getvalue(), TableError)


def validation_of(checks: Iterable[ModelCheck]) -> dict[str, Any] | None:
    """The manifest's validation block: the summary of those that test the table; None where nothing does."""
    block = summary(held_back(checks))
    return block if block["n"] else None


def held_back(checks: Iterable[ModelCheck]) -> list[ModelCheck]:
    """Those that test the table: held-out models that it has not learned from since."""
    return [check for check in checks if check.held_out and check.source != TRAINING]


def _place(check: ModelCheck) -> tuple[str, str]:
    return check.digest, check.source


def summary(checks: Sequence[ModelCheck]) -> dict[str, Any]:
    """How far the predictions of `checks` were off: shares of 1, errors relative to what was measured.

    `n`; `within_5`, `within_10`; `rmspe`, `bias` (mean of predicted/measured - 1), `worst` (signed); `spearman`;
    `coverage_90`, the share measured inside the predicted interval; `memory_within_3`, of those whose peak memory is
    known. None where there is nothing to tell.
    """
    errors = sorted(check.error for check in checks)
    peaks = [check.memory_error for check in checks if check.memory_error is not None]
    squares = _mean(error**2 for error in errors)
    return {
        "n": len(errors),
        "within_5": _mean(abs(error) <= 0.05 for error in errors),
        "within_10": _mean(abs(error) <= 0.10 for error in errors),
        "rmspe": None if squares is None else math.sqrt(squares),
        "bias": _mean(errors),
        "spearman": _spearman(sorted((check.predicted_ms, check.measured_ms) for check in checks)),
        "coverage_90": _mean(check.low_ms <= check.measured_ms <= check.high_ms for check in checks),
        "worst": max(errors, key=abs, default=None),
        "memory_within_3": _mean(abs(peak) <= 0.03 for peak in peaks),
    }


def in_words(block: Mapping[str, Any]) -> str:
    """A `summary` of held-out models as a sentence without a full stop."""
    count = block["n"]
    if not count:
        return "not validated yet: `hwaware run` of a model that was compiled with `--table` does it"
    within = ", ".join(f"{round(block[f'within_{bar}'] * count)} within ±{bar} %" for bar in (5, 10))
    models = "model" if count == 1 else "models"
    return (
        f"of {count} held-out {models} measured on this table: {within}, "
        f"bias {block['bias']:+.1%}, worst {block['worst']:+.1%}"
    )


def _mean(values: Iterable[float]) -> float | None:
    known = list(values)
    return math.fsum(known) / len(known) if known else None


def _spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Rank correlation, tied values at their mean rank; None for few pairs and where one side is all the same."""
    if len(pairs) < _LEAST_RANKED:
        return None
    predicted, measured = (rankdata(side) for side in zip(*pairs, strict=True))
    if np.ptp(predicted) == 0 or np.ptp(measured) == 0:
        return None
    return float(np.clip(np.corrcoef(predicted, measured)[0, 1], -1.0, 1.0))


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """The lock that a profile into `folder` holds as well: neither may lose what the other writes."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise TableError(f"cannot open {folder}: {error.strerror}; {TABLE.remedy}") from error
    try:
        _wait_for(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TableError(f"{folder} is being profiled into: run this again when that has ended") from None
            time.sleep(0.02)
        except OSError:
            return None  # a file system without locks
