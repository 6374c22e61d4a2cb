"""One whole model, predicted and measured, as a row of ``validation.csv``."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

# A model that the table has learned from since, or that was chosen for what was not known of it, tests nothing.
PROFILE, TRAINING = "profile", "training"
SOURCES = (PROFILE, "run", "benchmark", TRAINING)
# Bounds of times in ms, so that errors and their squares are finite.
_LEAST_MS, _MOST_MS = 1e-9, 1e12
_PLAIN = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ModelCheck:
    """One model; times in ms, sizes in bytes.

    `digest` is `digest_of` its operation keys, `low_ms` to `high_ms` the predicted 90 % interval, `measured_ms` the
    median with its 95 % interval. `held_out`: the table has not measured all of its operations, or the model is not
    among the profiled ones. `source` is what measured it, one of `SOURCES`.
    """

    model: str
    digest: str
    threads: int
    held_out: bool
    predicted_ms: float
    low_ms: float
    high_ms: float
    measured_ms: float
    ci95_low_ms: float
    ci95_high_ms: float
    predicted_rss: int | None
    measured_rss: int | None
    weights: int
    arena: int
    created: str
    source: str

    @property
    def error(self) -> float:
        """Predicted relative to measured time, less 1."""
        return self.predicted_ms / self.measured_ms - 1

    @property
    def memory_error(self) -> float | None:
        """Predicted relative to measured peak memory, less 1; None where one is not known."""
        if self.predicted_rss is None or not self.measured_rss:
            return None
        return self.predicted_rss / self.measured_rss - 1


COLUMNS = tuple(field.name for field in fields(ModelCheck))


def digest_of(keys: Iterable[str]) -> str:
    """SHA-256 of a model's operation keys, sorted: the same for the same operations in any order."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()


def to_fields(check: ModelCheck) -> list[str]:
    """The fields in the order of `COLUMNS`."""
    return [_out(getattr(check, name)) for name in COLUMNS]


def _out(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def from_fields(values: Sequence[str]) -> ModelCheck:
    """Parse and check one row. ValueError says which field is wrong."""
    if len(values) != len(COLUMNS):
        raise ValueError(f"it has {len(values)} fields, not {len(COLUMNS)}")
    check = ModelCheck(**{name: _parse(name, text) for name, text in zip(COLUMNS, values, strict=True)})
    if not _DIGEST.fullmatch(check.digest):
        raise ValueError(f"digest is {check.digest[:40]!r}")
    if check.source not in SOURCES:
        raise ValueError(f"source is {check.source[:40]!r}, not one of {', '.join(SOURCES)}")
    if check.threads < 1 or not min(check.predicted_ms, check.measured_ms) >= _LEAST_MS:
        raise ValueError("threads, predicted_ms and measured_ms must be above 0")
    if check.low_ms > check.high_ms or check.ci95_low_ms > check.ci95_high_ms:
        raise ValueError("low_ms to high_ms or ci95_low_ms to ci95_high_ms is no interval")
    return check


def _parse(name: str, text: str) -> Any:
    try:
        return _PARSERS[_TYPES[name]](text)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{name} is {text[:40]!r}") from error


def _text(text: str) -> str:
    if not _PLAIN.fullmatch(text):
        raise ValueError("nothing that can be printed on one line")
    return text


def _size(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or not int(text) < 2**63:
        raise ValueError("no size")
    return int(text)


def _time(text: str) -> float:
    number = float(text)
    if not math.isfinite(number) or not 0 <= number <= _MOST_MS:
        raise ValueError("no time")
    return number


_PARSERS: Mapping[str, Callable[[str], Any]] = {
    "str": _text,
    "int": _size,
    "bool": {"true": True, "false": False}.__getitem__,
    "float": _time,
    "int | None": lambda text: _size(text) if text else None,
}
_TYPES = {field.name: str(field.type) for field in fields(ModelCheck)}
